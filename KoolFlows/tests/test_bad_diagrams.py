"""What is not a diagram, or could harm, is refused with a code and a place; nothing is stored."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from koolflows.engine.errors import DiagramRefused
from koolflows.engine.reading import read

DIAGRAMS = Path(__file__).parents[1] / "diagrams"
ONE = (DIAGRAMS / "certificate-approval-one.bpmn").read_text()
TASK = '<userTask id="OneApprove" name="Decide on the request">'
BOMB = '<!DOCTYPE d [<!ENTITY a "aa"><!ENTITY b "&a;&a;&a;">]>'
EXTERNAL = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'


def findings(text: str | bytes, name: str = "one.bpmn") -> set[str]:
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(DiagramRefused) as refusal:
        read({name: content})
    assert all(finding.detail for finding in refusal.value.findings)
    return {finding.code for finding in refusal.value.findings}


def changed(before: str, after: str) -> str:
    assert before in ONE, before
    return ONE.replace(before, after)


def after_declaration(text: str) -> str:
    return ONE.replace("?>", f"?>{text}", 1)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "xml.malformed"),
        (b"not xml", "xml.malformed"),
        (b"\xff\xfe\x00", "xml.not-utf8"),
        (b"<html/>", "xml.not-bpmn"),
        (ONE[: len(ONE) // 2].encode(), "xml.malformed"),
        (b"<!--" + b"x" * 600_000 + b"-->", "xml.too-large"),
        (("<a>" * 100 + "</a>" * 100).encode(), "xml.too-large"),
    ],
)
def test_what_is_not_bpmn_is_refused(content: bytes, code: str) -> None:
    assert code in findings(content)


@pytest.mark.parametrize("prolog", [BOMB, EXTERNAL])
def test_an_xml_bomb_and_an_external_entity_are_refused_before_a_tree_is_built(prolog: str) -> None:
    assert findings(after_declaration(prolog)) == {"xml.doctype"}


def test_a_processing_instruction_is_refused() -> None:
    assert findings(after_declaration("<?go away?>")) == {"xml.instruction"}


@pytest.mark.parametrize("element", ["manualTask", "adHocSubProcess", "dataObject", "import"])
def test_an_unknown_element_is_named(element: str) -> None:
    assert "element.unknown" in findings(changed(TASK, f'<{element} id="X"/>{TASK}'))


def test_a_foreign_attribute_is_refused() -> None:
    text = changed(TASK, TASK.replace("<userTask", '<userTask xmlns:c="urn:c" c:class="os.Popen"'))
    assert "attribute.unknown" in findings(text)


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ('isExecutable="true"', 'isExecutable="false"', "flow.not-executable"),
        ('targetRef="OneApprove"', 'targetRef="OneStart"', "flow.unreachable"),
        ('targetRef="OneApprove"', 'targetRef="Nowhere"', "flow.dangling"),
        ('attachedToRef="OneApprove"', 'attachedToRef="Nothing"', "flow.dangling"),
        ('bpmnElement="OneApprove"', 'bpmnElement="Other"', "layout.missing"),
        ('id="pkakey.issue"', 'id="os.system"', "operation.unknown"),
        ('"P14D"', "__import__('os')", "expression.forbidden"),
        ('"P14D"', "process.__class__", "expression.forbidden"),
        ('"P14D"', "1 +", "expression.malformed"),
        ('resultVariable="issued"', 'resultVariable="__x"', "operation.result"),
    ],
)
def test_what_breaks_the_rules_is_found(before: str, after: str, code: str) -> None:
    assert code in findings(changed(before, after))


@pytest.mark.parametrize("name", ["Start", "End", "Root", "One.EndJoin", "Two.BoundaryEventSplit"])
def test_the_names_of_the_engines_own_parts_are_not_an_elements(name: str) -> None:
    assert "element.id" in findings(ONE.replace("OneApprove", name))


def test_a_name_that_only_holds_one_of_them_is_an_elements() -> None:
    read({"one.bpmn": ONE.replace("OneApprove", "StartEnd.Root").encode()})


def test_a_loop_from_which_no_end_is_reached_is_refused() -> None:
    text = changed('targetRef="OneIssued"', 'targetRef="OneIssue"')
    assert {"flow.unreachable", "flow.endless"} & findings(text)


@pytest.mark.parametrize("name", ["", "a/b.bpmn", "../x.bpmn", "x.xml", "x.bpmn\n", "a" * 200])
def test_a_file_has_a_plain_name(name: str) -> None:
    assert findings(ONE, name) == {"bundle.name"}


def test_a_bundle_has_one_to_ten_files() -> None:
    for files in ({}, {f"f{number}.bpmn": ONE.encode() for number in range(11)}):
        with pytest.raises(DiagramRefused) as refusal:
            read(files)
        assert refusal.value.code == "bundle.files"


def test_every_finding_names_its_line() -> None:
    with pytest.raises(DiagramRefused) as refusal:
        read({"one.bpmn": changed('id="pkakey.issue"', 'id="os.system"').encode()})
    (finding,) = refusal.value.findings
    line = ONE.splitlines()[finding.line - 1]
    assert (finding.file, "serviceTask" in line) == ("one.bpmn", True)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_no_octets_raise_anything_else(content: bytes) -> None:
    with pytest.raises(DiagramRefused):
        read({"one.bpmn": content})


@given(start=st.integers(0, len(ONE) - 1), length=st.integers(0, 60), new=st.text(max_size=12))
@settings(max_examples=150, deadline=None)
def test_a_damaged_diagram_is_refused_or_still_one(start: int, length: int, new: str) -> None:
    damaged = (ONE[:start] + new + ONE[start + length :]).encode(errors="replace")
    with suppress(DiagramRefused):
        assert read({"one.bpmn": damaged}).process_id


def test_a_refused_diagram_stores_nothing(flows: Any) -> None:
    with pytest.raises(DiagramRefused):
        flows.deploy(changed('id="pkakey.issue"', 'id="os.system"'))
    from koolflows.selectors.diagrams import list_diagrams

    assert list_diagrams(flows.person("dora", "pki-admin")) == []


def test_a_version_never_changes_and_the_same_files_are_the_same_version(flows: Any) -> None:
    assert flows.deploy(ONE) == ("certificate-approval-one", 1, True)
    assert flows.deploy(ONE) == ("certificate-approval-one", 1, False)
    renamed = changed("Certificate approval by one officer", "Another name")
    assert flows.deploy(renamed) == ("certificate-approval-one", 2, True)
    assert flows.deploy(ONE) == ("certificate-approval-one", 3, True)


def test_only_an_administrator_deploys(flows: Any) -> None:
    from koolflows.services.errors import NotPermitted

    for role in ("pki-officer", "pki-auditor", "pki-requester", "db-admin"):
        with pytest.raises(NotPermitted):
            flows.services.deploy(
                principal=flows.person("eve", role), files={"a.bpmn": ONE.encode()}, now=flows.now
            )
