"""The shipped diagrams' tests take every sequence flow and every rule of a decision table."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree

from KoolFlows.tests.recording_paths import FILE

pytestmark = pytest.mark.timeout(300)
TESTS = Path(__file__).parent
DIAGRAMS = TESTS.parent / "diagrams"
BPMN = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
DMN = "{https://www.omg.org/spec/DMN/20191111/MODEL/}"


def drawn_flows() -> set[tuple[str, str]]:
    return {
        (flow.attrib["sourceRef"], flow.attrib["targetRef"])
        for file in DIAGRAMS.glob("*.bpmn")
        for flow in etree.parse(file).iter(f"{BPMN}sequenceFlow")
    }


def drawn_rules() -> set[str]:
    return {
        rule.attrib["id"]
        for file in DIAGRAMS.glob("*.dmn")
        for rule in etree.parse(file).iter(f"{DMN}rule")
    }


def test_every_flow_and_every_rule_is_taken_by_a_test(tmp_path: Path) -> None:
    # In a session of its own: pytest-xdist spreads those tests over its workers.
    kept = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    result = subprocess.run(
        [
            sys.executable, "-m", "pytest", str(TESTS / "test_shipped_diagrams.py"), "-q",
            "-p", "KoolFlows.tests.recording_paths", "--ds=koolflows.config.settings_test",
        ],
        cwd=TESTS.parents[1],
        env=kept | {FILE: str(tmp_path / "taken.json")},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    taken = json.loads((tmp_path / "taken.json").read_text())
    flows, rules = drawn_flows(), drawn_rules()
    assert flows
    assert rules
    assert sorted(flows - {(source, target) for source, target in taken["flows"]}) == []
    assert sorted(rules - set(taken["rules"])) == []
