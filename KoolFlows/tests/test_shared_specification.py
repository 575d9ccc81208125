"""All processes of a version share its compiled specification: none leaves a trace in it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from koolflows.engine.reading import read
from koolflows.engine.running import Run
from koolflows.engine.specs import REGISTRY, Compiled

DIAGRAMS = Path(__file__).parents[1] / "diagrams"
NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)

ANSWERS = {
    "DrillDeclare": ("declared", {"outcome": "begin", "reason": "yearly"}),
    "DrillReport": ("report", {"outcome": "passed", "report": "two minutes"}),
}


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    name = "mass-replacement-drill.bpmn"
    return read({name: (DIAGRAMS / name).read_bytes()}).compiled


def as_data(compiled: Compiled) -> Any:
    return [
        REGISTRY.convert(spec) for spec in (compiled.spec, *compiled.subprocess_specs.values())
    ]  # fmt: skip


def drill(compiled: Compiled, number: int) -> tuple[list[str], list[str]]:
    """Replace so many certificates; return which were named, and the path."""
    serials = [f"{number:02x}{index:02x}" for index in range(1 + number % 4)]
    data = {
        "why": f"drill {number}", "serial_numbers": serials,
        "process": {"id": str(number), "key": "mass-replacement-drill", "starter": f"p{number}"},
    }  # fmt: skip
    run = Run.start(compiled, data, NOW)
    state = run.dump()
    asked: list[str] = []
    for step in range(100):
        run = Run.load(compiled, state, NOW + timedelta(minutes=step))
        for task in run.humans():
            variable, values = ANSWERS[task.element]
            run.complete(task.id, variable, values)
        for task in run.services():
            if "serial_number" in task.parameters:
                asked.append(task.parameters["serial_number"])
            run.finish(task.id, {"serial_number": "0a"})
        if run.is_over:
            return asked, [str(serials), *run.path()]
        state = run.dump()
    raise AssertionError("it did not end")


def test_processes_side_by_side_keep_their_own_data(compiled: Compiled) -> None:
    before = as_data(compiled)
    alone = [drill(compiled, number) for number in range(12)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda number: drill(compiled, number), range(12)))
    assert together == alone
    for number, (asked, _) in enumerate(alone):
        assert asked == [f"{number:02x}{index:02x}" for index in range(1 + number % 4)]
    assert as_data(compiled) == before
