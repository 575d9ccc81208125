"""A bundle of files read, checked and compiled: what may be deployed, and why not.

The order of the checks: safe XML, known elements only, the BPMN and DMN schemas, our own rules
(forms, assignments, operations, expressions, flow, layout), and SpiffWorkflow's parser last.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from SpiffWorkflow.exceptions import SpiffWorkflowException

from koolflows.engine import safe_xml
from koolflows.engine.errors import DiagramRefused, Finding
from koolflows.engine.rules import Findings, check_decision, check_process
from koolflows.engine.specs import Compiled, Parser
from koolflows.engine.vocabulary import ALLOWED, ALLOWED_DMN, BPMN, DMN, NODES, XSI

FILE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}\.(bpmn|dmn)")
MAX_FILES: Final = 10
MAX_FINDINGS: Final = 50

Resolve = Callable[[str], Mapping[str, str] | None]


@dataclass(frozen=True)
class Diagram:
    """What a bundle says: the process that it starts, its elements, and how it runs."""

    process_id: str
    name: str
    files: Mapping[str, str]
    facts: Mapping[str, Any]
    compiled: Compiled


def read(files: Mapping[str, bytes], *, resolve: Resolve = lambda _: None) -> Diagram:
    """Return the diagram of a bundle of files; raises `DiagramRefused` with every finding.

    `resolve` returns the files of a process that a call activity names and the bundle lacks.
    """
    _check_names(files)
    trees = {name: safe_xml.parse(content, name) for name, content in files.items()}
    texts = {name: content.decode("utf-8-sig") for name, content in files.items()}
    _check_vocabulary(trees)
    _fetch_called(trees, texts, resolve)
    findings = Findings(MAX_FINDINGS)
    processes = _processes(trees)
    called = {
        node.get("calledElement")
        for tree in trees.values()
        for node in tree.iter(_q("callActivity"))
    }
    tops = [name for name in processes if name not in called]
    if len(tops) != 1:
        raise DiagramRefused(
            [
                Finding(
                    "flow.start",
                    "One process of the bundle must start and call the others; "
                    f"{len(tops)} of {len(processes)} are called by nobody.",
                )
            ]
        )
    decisions = {
        node.get("id"): name
        for name, tree in trees.items()
        for node in tree.iter(f"{{{DMN}}}decision")
    }
    elements: dict[str, Any] = {}
    facts_of: dict[str, Any] = {}
    for process_id, (file, process) in processes.items():
        facts_of[process_id] = check_process(
            process, file, findings, elements, processes=set(processes), decisions=set(decisions)
        )
    for name, tree in trees.items():
        if name.endswith(".dmn"):
            check_decision(tree, name, findings)
    findings.raise_any()
    compiled = _compile(trees, tops[0])
    file, process = processes[tops[0]]
    return Diagram(
        process_id=tops[0],
        name=process.get("name") or tops[0],
        files=texts,
        facts={
            "process": facts_of[tops[0]],
            "processes": {name: found[0] for name, found in processes.items()},
            "file": file,
            "elements": elements,
        },
        compiled=compiled,
    )


def _q(name: str) -> str:
    return f"{{{BPMN}}}{name}"


def _check_names(files: Mapping[str, bytes]) -> None:
    if not 1 <= len(files) <= MAX_FILES:
        raise DiagramRefused(
            [Finding("bundle.files", f"{len(files)} files came; 1 to {MAX_FILES} make a bundle.")]
        )
    for name in files:
        if not FILE_NAME.fullmatch(name):
            raise DiagramRefused(
                [Finding("bundle.name", "A file is called like `approval.bpmn` or `risk.dmn`.")]
            )


def _check_vocabulary(trees: Mapping[str, Any]) -> None:
    findings = Findings(MAX_FINDINGS)
    for name, tree in trees.items():
        allowed = ALLOWED_DMN if name.endswith(".dmn") else ALLOWED
        root = DMN if name.endswith(".dmn") else BPMN
        if tree.tag != f"{{{root}}}definitions":
            raise DiagramRefused(
                [
                    Finding(
                        "xml.not-bpmn",
                        f"The root element is {str(tree.tag)[:80]}; a {name[-4:]} file has "
                        f"`definitions` of {root}.",
                        name,
                    )
                ]
            )
        for node in tree.iter():
            if not isinstance(node.tag, str):
                findings.add("xml.entity", "An entity reference came.", name, node)
                continue
            space, _, local = node.tag[1:].partition("}")
            if local not in allowed.get(space, ()):
                findings.add(
                    "element.unknown",
                    f"'{local[:60]}' of {space[:80]} is not among the elements that are run here.",
                    name,
                    node,
                )
            for attribute in node.attrib:
                if attribute.startswith("{") and attribute != f"{{{XSI}}}type":
                    findings.add(
                        "attribute.unknown",
                        f"The attribute {attribute[:100]} is not known here.",
                        name,
                        node,
                    )
    findings.raise_any()


def _processes(trees: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    found: dict[str, tuple[str, Any]] = {}
    for name, tree in trees.items():
        for process in tree.iterchildren(_q("process")):
            identity = process.get("id") or ""
            if identity in found:
                raise DiagramRefused(
                    [Finding("flow.duplicate", f"The process '{identity}' comes twice.", name)]
                )
            found[identity] = (name, process)
    if not found:
        raise DiagramRefused([Finding("flow.none", "No process came in the bundle.")])
    return found


def _fetch_called(trees: dict[str, Any], texts: dict[str, str], resolve: Resolve) -> None:
    """Add the files of called processes that are deployed already, theirs included."""
    present = set(_processes(trees))
    waiting = [
        node.get("calledElement") for t in trees.values() for node in t.iter(_q("callActivity"))
    ]
    while waiting:
        wanted = waiting.pop()
        if not wanted or wanted in present:
            continue
        files = resolve(wanted)
        if files is None:
            continue  # The rules name it.
        for name, text in files.items():
            if name in texts:
                continue
            if len(texts) >= MAX_FILES:
                raise DiagramRefused(
                    [Finding("bundle.files", f"With called processes more than {MAX_FILES} files.")]
                )
            texts[name] = text
            trees[name] = safe_xml.parse(text.encode(), name)
            waiting += [node.get("calledElement") for node in trees[name].iter(_q("callActivity"))]
        present = set(_processes(trees))


def _compile(trees: Mapping[str, Any], process_id: str) -> Compiled:
    parser = Parser()
    file = ""
    try:
        for file, tree in trees.items():
            if file.endswith(".dmn"):
                parser.add_dmn_xml(tree, file)
            else:
                parser.add_bpmn_xml(tree, file)
        return Compiled(parser.get_spec(process_id), parser.get_subprocess_specs(process_id))
    except SpiffWorkflowException as error:
        line = getattr(error, "line_number", 0)
        raise DiagramRefused(
            [
                Finding(
                    "schema.violated",
                    str(error)[:400],
                    str(getattr(error, "file_name", "") or file),
                    line if isinstance(line, int) else 0,
                    str(getattr(error, "id", "") or ""),
                )
            ]
        ) from None
    except Exception as error:  # noqa: BLE001  # The parser raises whatever Python raises.
        raise DiagramRefused(
            [Finding("schema.violated", f"The diagram cannot be compiled: {error!r}"[:400], file)]
        ) from None


__all__ = ["NODES", "Diagram", "read"]
