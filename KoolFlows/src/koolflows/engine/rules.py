"""Our own rules for a diagram, beside the schemas: who decides, what is called, where it ends."""

import re
from collections.abc import Iterator
from typing import Any, Final

from koolflows.engine.errors import DiagramRefused, Finding, FlowError
from koolflows.engine.expressions import check_expression, check_unary_test, statements
from koolflows.engine.forms import RESERVED, check_schema
from koolflows.engine.vocabulary import (
    BPMN,
    BPMN_DI,
    DC,
    DDT,
    DI,
    DMN,
    NODES,
    OPERATIONS,
    SPIFF,
)

IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
# What SpiffWorkflow calls parts of its own, beside each element and in each process.
OWN_NAME: Final = re.compile(r"Start|End|Root|.*\.(EndJoin|BoundaryEventSplit|BoundaryEventJoin)")
VARIABLE: Final = re.compile(r"[a-z][a-z0-9_]{0,49}")
ROLE: Final = re.compile(r"[a-z][a-z0-9-]{0,49}")
ASSIGNMENT: Final = frozenset(
    {"roles", "assignee", "allowStarter", "distinctFrom", "title", "due", "variable"}
)
PROCESS: Final = frozenset({"starters", "title", "key"})
# Text of these is an expression.
EXPRESSIONS: Final = (
    "conditionExpression", "timeDate", "timeDuration", "timeCycle", "loopCardinality",
    "completionCondition",
)  # fmt: skip


class Findings:
    """Gathers what is wrong, up to a bound."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: list[Finding] = []

    def add(self, code: str, detail: str, file: str, node: Any = None) -> None:  # noqa: ANN401
        """Note one thing; `node` is the element where it stands."""
        if len(self._found) < self._most:
            line = (node.sourceline or 0) if node is not None else 0
            name = (node.get("id") or "") if node is not None else ""
            self._found.append(Finding(code, detail, file, line, name))

    def raise_any(self) -> None:
        """Raise `DiagramRefused` when anything was found."""
        if self._found:
            raise DiagramRefused(self._found)


def _q(name: str) -> str:
    return f"{{{BPMN}}}{name}"


def _local(node: Any) -> str:  # noqa: ANN401  # lxml ships no types.
    return str(node.tag).rpartition("}")[2]


def _extension(node: Any, space: str, name: str) -> Any:  # noqa: ANN401  # As above.
    return node.find(f"{_q('extensionElements')}/{{{space}}}{name}")


def _try(findings: Findings, file: str, node: Any, check: Any, text: str) -> Any:  # noqa: ANN401
    try:
        return check(text)
    except FlowError as error:
        findings.add(error.code, error.detail, file, node)
        return None


def check_process(
    process: Any,  # noqa: ANN401  # As above.
    file: str,
    findings: Findings,
    elements: dict[str, Any],
    *,
    processes: set[str],
    decisions: set[str],
) -> dict[str, Any]:
    """Check one process, add its elements to `elements`, and return what it says of itself."""
    if process.get("isExecutable") != "true":
        findings.add(
            "flow.not-executable", "The process says isExecutable other than true.", file, process
        )
    _check_scope(process, file, findings)
    shapes, edges = _layout(process.getroottree().getroot())
    for node in process.iter():
        kind = _local(node)
        if kind in EXPRESSIONS and node.tag.startswith(_q("")):
            _try(findings, file, node.getparent(), check_expression, node.text or "")
        if node.tag == _q("script"):
            _try(findings, file, node.getparent(), statements, node.text or "")
        if node.tag == _q("sequenceFlow") and node.get("id") not in edges:
            findings.add("layout.missing", "This flow has no edge in the diagram.", file, node)
        if kind in NODES and node.tag == _q(kind):
            _check_element(node, file, findings, elements, shapes)
    _check_calls(process, file, findings, processes, decisions)
    return _process_facts(process, file, findings)


def _check_element(
    node: Any,  # noqa: ANN401  # As above.
    file: str,
    findings: Findings,
    elements: dict[str, Any],
    shapes: set[str],
) -> None:
    kind = _local(node)
    if node.get("id") not in shapes:
        findings.add("layout.missing", "This element has no shape in the diagram.", file, node)
    identity = node.get("id") or ""
    if not IDENTIFIER.fullmatch(identity) or identity in elements:
        findings.add("element.id", f"'{identity[:60]}' is no id, or comes twice.", file, node)
        return
    if OWN_NAME.fullmatch(identity):
        findings.add(
            "element.id",
            f"The engine calls a part of its own '{identity[:60]}': give this another id.",
            file,
            node,
        )
        return
    elements[identity] = {"kind": kind, "name": node.get("name") or identity}
    _check_node(node, kind, file, findings, elements[identity])


def _check_calls(
    process: Any,  # noqa: ANN401  # As above.
    file: str,
    findings: Findings,
    processes: set[str],
    decisions: set[str],
) -> None:
    for node in process.iter(_q("callActivity")):
        if node.get("calledElement") not in processes:
            findings.add(
                "call.unknown",
                f"The process '{str(node.get('calledElement'))[:60]}' is neither in the bundle nor "
                "deployed.",
                file,
                node,
            )
    for node in process.iter(_q("businessRuleTask")):
        wanted = _extension(node, SPIFF, "calledDecisionId")
        if wanted is None or wanted.text not in decisions:
            findings.add("decision.unknown", "Its decision is not in the bundle.", file, node)


def _process_facts(process: Any, file: str, findings: Findings) -> dict[str, Any]:  # noqa: ANN401
    own = _extension(process, DDT, "process")
    attributes = dict(own.attrib) if own is not None else {}
    for name in attributes.keys() - PROCESS:
        findings.add(
            "attribute.unknown", f"'{name[:60]}' is not known on ddt:process.", file, process
        )
    for name in ("title", "key"):
        if name in attributes:
            _try(findings, file, process, check_expression, attributes[name])
    form = _extension(process, DDT, "form")
    schema = None
    if form is not None:
        schema = _try(findings, file, process, check_schema, form.text or "")
    return {
        "starters": _roles(attributes.get("starters", ""), file, process, findings),
        "title": attributes.get("title"),
        "key": attributes.get("key"),
        "form": schema,
    }


def _roles(text: str, file: str, node: Any, findings: Findings) -> list[str]:  # noqa: ANN401
    roles = text.split()
    for role in roles:
        if not ROLE.fullmatch(role):
            findings.add("assignment.role", f"'{role[:60]}' is no role.", file, node)
    return roles


def _check_node(node: Any, kind: str, file: str, findings: Findings, facts: dict[str, Any]) -> None:  # noqa: ANN401
    if kind == "userTask":
        _check_user_task(node, file, findings, facts)
    if kind == "serviceTask":
        _check_service_task(node, file, findings, facts)
    if kind == "startEvent" and len(node.findall(_q("timerEventDefinition"))):
        findings.add(
            "flow.start", "A process is started through the API, not by a timer.", file, node
        )
    if kind == "startEvent" and node.find(_q("messageEventDefinition")) is not None:
        findings.add(
            "flow.start", "A process is started through the API, not by a message.", file, node
        )
    for message in node.iter(f"{{{SPIFF}}}messagePayload"):
        _try(findings, file, node, check_expression, message.text or "")
    if kind == "subProcess" and node.get("triggeredByEvent") == "true":
        findings.add("element.unknown", "Event sub-processes are not run here.", file, node)


def _check_user_task(node: Any, file: str, findings: Findings, facts: dict[str, Any]) -> None:  # noqa: ANN401
    form, assignment = _extension(node, DDT, "form"), _extension(node, DDT, "assignment")
    if form is None or assignment is None:
        findings.add(
            "assignment.missing", "A user task needs a ddt:form and a ddt:assignment.", file, node
        )
        return
    facts["form"] = _try(findings, file, node, check_schema, form.text or "")
    given = dict(assignment.attrib)
    for name in given.keys() - ASSIGNMENT:
        findings.add(
            "attribute.unknown", f"'{name[:60]}' is not known on ddt:assignment.", file, node
        )
    for name in ("assignee", "title", "due"):
        if name in given:
            _try(findings, file, node, check_expression, given[name])
    roles = _roles(given.get("roles", ""), file, node, findings)
    if not roles:
        findings.add(
            "assignment.role", "A user task names the roles that may decide it.", file, node
        )
    variable = given.get("variable", "")
    if not VARIABLE.fullmatch(variable) or variable == RESERVED:
        findings.add(
            "assignment.variable", "A user task names the variable of its decision.", file, node
        )
    for name in given.get("distinctFrom", "").split():
        if not any(
            name == other.get("id") for other in node.getroottree().getroot().iter(_q("userTask"))
        ):
            findings.add("assignment.distinct", f"There is no user task '{name[:60]}'.", file, node)
    facts["assignment"] = {
        "roles": roles,
        "assignee": given.get("assignee"),
        "allow_starter": given.get("allowStarter") == "true",
        "distinct_from": given.get("distinctFrom", "").split(),
        "title": given.get("title"),
        "due": given.get("due"),
        "variable": variable,
    }


def _check_service_task(node: Any, file: str, findings: Findings, facts: dict[str, Any]) -> None:  # noqa: ANN401
    operator = _extension(node, SPIFF, "serviceTaskOperator")
    name = operator.get("id") if operator is not None else None
    if name not in OPERATIONS:
        known = ", ".join(sorted(OPERATIONS))
        findings.add(
            "operation.unknown", f"'{str(name)[:60]}' is no operation. Known: {known}.", file, node
        )
        return
    facts["operation"] = name
    given = {each.get("id"): each for each in operator.iter(f"{{{SPIFF}}}parameter")}
    if given.keys() != OPERATIONS[name]:
        wanted = ", ".join(sorted(OPERATIONS[name]))
        findings.add("operation.parameters", f"{name} takes exactly: {wanted}.", file, node)
    for parameter in given.values():
        _try(findings, file, node, check_expression, parameter.get("value") or "")
    if not VARIABLE.fullmatch(operator.get("resultVariable") or ""):
        findings.add("operation.result", "A service task names its resultVariable.", file, node)


def _children(scope: Any) -> Iterator[Any]:  # noqa: ANN401  # As above.
    return (node for node in scope if node.tag.startswith(_q("")) and _local(node) in NODES)


def _check_scope(scope: Any, file: str, findings: Findings) -> None:  # noqa: ANN401  # As above.
    """Check that every node is reached and that from every node an end is reached."""
    nodes = {node.get("id"): node for node in _children(scope)}
    after = _followers(scope, nodes, file, findings)
    for node in nodes.values():
        if _local(node) in {"subProcess", "transaction"}:
            _check_scope(node, file, findings)
    starts = {name for name, node in nodes.items() if _local(node) == "startEvent"}
    if len(starts) != 1:
        findings.add(
            "flow.start", f"{len(starts)} start events stand in one scope; one must.", file, scope
        )
    before: dict[str, set[str]] = {name: set() for name in nodes}
    for source, targets in after.items():
        for target in targets:
            before[target].add(source)
    ends = {name for name, node in nodes.items() if _local(node) == "endEvent"}
    for name in nodes.keys() - _reached(starts, after):
        findings.add("flow.unreachable", "No token ever comes here.", file, nodes[name])
    for name in nodes.keys() - _reached(ends, before):
        findings.add("flow.endless", "From here no end event is reached.", file, nodes[name])


def _followers(
    scope: Any,  # noqa: ANN401  # As above.
    nodes: dict[str, Any],
    file: str,
    findings: Findings,
) -> dict[str, set[str]]:
    """Return which nodes follow each node, by a flow or by a boundary event."""
    after: dict[str, set[str]] = {name: set() for name in nodes}
    for flow in scope.iterchildren(_q("sequenceFlow")):
        source, target = flow.get("sourceRef"), flow.get("targetRef")
        if source not in nodes or target not in nodes:
            findings.add(
                "flow.dangling", "A flow leads from or to nothing in its scope.", file, flow
            )
            continue
        after[source].add(target)
    for name, node in nodes.items():
        if _local(node) == "boundaryEvent":
            host = node.get("attachedToRef")
            if host not in nodes:
                findings.add(
                    "flow.dangling", "A boundary event is attached to nothing.", file, node
                )
                continue
            after[host].add(name)
    return after


def _reached(start: set[str], after: dict[str, set[str]]) -> set[str]:
    found, waiting = set(start), list(start)
    while waiting:
        for name in after[waiting.pop()] - found:
            found.add(name)
            waiting.append(name)
    return found


def _layout(root: Any) -> tuple[set[str], set[str]]:  # noqa: ANN401  # As above.
    shapes = {
        shape.get("bpmnElement")
        for shape in root.iter(f"{{{BPMN_DI}}}BPMNShape")
        if shape.find(f"{{{DC}}}Bounds") is not None
    }
    edges = {
        edge.get("bpmnElement")
        for edge in root.iter(f"{{{BPMN_DI}}}BPMNEdge")
        if len(edge.findall(f"{{{DI}}}waypoint")) > 1
    }
    return shapes, edges


def check_decision(root: Any, file: str, findings: Findings) -> None:  # noqa: ANN401  # As above.
    """Check the expressions of a decision table."""
    for table in root.iter(f"{{{DMN}}}decisionTable"):
        if table.get("hitPolicy", "UNIQUE") not in {"UNIQUE", "COLLECT"}:
            findings.add("decision.policy", "The hit policy is UNIQUE or COLLECT.", file, table)
    for node in root.iter(f"{{{DMN}}}text"):
        holder = node.getparent()
        text = node.text or ""
        kind = _local(holder)
        if kind == "inputEntry" and text.strip() not in {"", "-"}:
            _try(findings, file, holder, check_unary_test, text)
        elif kind in {"inputExpression", "outputEntry"}:
            _try(findings, file, holder, check_expression, text)
