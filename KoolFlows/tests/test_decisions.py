"""Decision tables do what their hit policy says."""

from pathlib import Path
from typing import Any

import pytest
from koolflows.engine.errors import StepFailed
from koolflows.engine.reading import read
from koolflows.engine.running import Run
from koolflows.engine.specs import Compiled

from KoolFlows.tests.linear import linear

DIAGRAMS = Path(__file__).parents[1] / "diagrams"
TABLE = (DIAGRAMS / "certificate-risk.dmn").read_text()
DECIDE = (
    "businessRuleTask", "Decide",
    (
        "<extensionElements><spiffworkflow:calledDecisionId>certificate-risk"
        "</spiffworkflow:calledDecisionId></extensionElements>"
    ),
)  # fmt: skip
# A request that Rule2 and Rule3 both take once Rule3 looks at the days alone.
BOTH = {"wildcard": False, "validity_days": 100, "name_count": 20}


def compiled(table: str) -> Compiled:
    files = {"one.bpmn": linear("decides", DECIDE).encode(), "risk.dmn": table.encode()}
    return read(files).compiled


def overlapping(policy: str) -> str:
    before = '<inputEntry id="Cell32"><text>&lt;= 10</text>'
    assert before in TABLE
    return TABLE.replace(before, '<inputEntry id="Cell32"><text>-</text>').replace(
        'hitPolicy="UNIQUE"', f'hitPolicy="{policy}"'
    )


def decided(specification: Compiled, facts: dict[str, Any], now: Any) -> Any:
    run = Run.start(specification, facts, now)
    assert run.is_over
    return run.data.get("risk")


def test_the_one_rule_that_fits_decides(now: Any) -> None:
    assert decided(compiled(TABLE), BOTH, now) == "medium"


@pytest.mark.parametrize("is_kept", [False, True])
def test_two_rules_that_fit_at_once_are_no_unique_decision(now: Any, *, is_kept: bool) -> None:
    specification = compiled(overlapping("UNIQUE"))
    if is_kept:
        specification = Compiled.load(specification.dump())
    with pytest.raises(StepFailed, match="'Rule2', 'Rule3' fit at once") as refused:
        Run.start(specification, BOTH, now)
    assert (refused.value.code, refused.value.element) == ("decision.not-unique", "Decide")
    # Where one fits, it decides.
    assert decided(specification, BOTH | {"name_count": 1}, now) == "medium"


def test_collect_takes_all_that_fit(now: Any) -> None:
    assert decided(compiled(overlapping("COLLECT")), BOTH, now) == ["medium", "medium"]


def test_where_no_rule_fits_nothing_is_decided(now: Any) -> None:
    table = TABLE.replace("<text>&gt; 10</text>", "<text>&gt; 10000</text>")
    assert decided(compiled(table), BOTH, now) is None


@pytest.mark.parametrize("policy", ["FIRST", "ANY", "PRIORITY", "RULE ORDER", ""])
def test_a_policy_that_is_not_run_is_refused(policy: str) -> None:
    from koolflows.engine.errors import DiagramRefused

    with pytest.raises(DiagramRefused) as refused:
        compiled(overlapping(policy))
    assert "decision.policy" in {finding.code for finding in refused.value.findings}
