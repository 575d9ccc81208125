"""A plugin of pytest: writes which flows and decision rules the session's processes took.

`test_every_path.py` runs the tests of the shipped diagrams with it.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

FILE = "KOOLFLOWS_TAKEN_PATHS"
"""The environment's variable with the file to write."""

_flows: set[tuple[str, str]] = set()
_rules: set[str] = set()


def _taken(workflow: Any) -> None:
    from SpiffWorkflow.util.task import TaskState

    reached = (
        TaskState.READY | TaskState.WAITING | TaskState.STARTED | TaskState.COMPLETED
    )  # fmt: skip
    for task in workflow.get_tasks(state=reached):
        target, source = getattr(task.task_spec, "bpmn_id", None), task.parent
        # Between two elements may stand parts of the engine's own.
        while source is not None and not getattr(source.task_spec, "bpmn_id", None):
            source = source.parent
        if target and source is not None:
            _flows.add((source.task_spec.bpmn_id, target))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart() -> None:
    """Listen to every move and every decision."""
    from koolflows.engine.running import Run
    from SpiffWorkflow.dmn.engine.DMNEngine import DMNEngine

    advance, decide = Run._advance, DMNEngine.decide

    def advanced(self: Any) -> None:
        advance(self)
        _taken(self._workflow)

    def decided(self: Any, task: Any) -> Any:
        rules = decide(self, task)
        _rules.update(rule.id for rule in rules)
        return rules

    Run._advance = advanced
    DMNEngine.decide = decided


def pytest_sessionfinish() -> None:
    """Write what was taken."""
    taken = {"flows": sorted(_flows), "rules": sorted(_rules)}
    Path(os.environ[FILE]).write_text(json.dumps(taken))
