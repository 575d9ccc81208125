"""Moving a running process to another version of its diagram, with a check."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from SpiffWorkflow.bpmn.util.diff import WorkflowDiff, diff_workflow, filter_tasks
from SpiffWorkflow.util.task import TaskState

from koolflows.engine.running import Run
from koolflows.engine.specs import REGISTRY, Compiled, restored


def moved_over(
    old: Compiled,
    new: Compiled,
    state: str,
    now: datetime,
    *,
    elements: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> tuple[Run | None, list[str]]:
    """Return the process on the new version, or None and why it has to stay.

    It may move when every element that its tokens passed or stand on is there unchanged, with its
    form, its roles and its operation (`elements`: of the old version and of the new one): then the
    new diagram tells the truth about its past, and only its future differs.
    """
    workflow = restored(old, state)
    top, inner = diff_workflow(REGISTRY, workflow, new.spec, new.subprocess_specs)
    reasons = _reasons(top, *elements)
    for each in inner.values():
        reasons += ["A part that has begun is gone."] if each is None else _reasons(each, *elements)
    if reasons:
        return None, sorted(set(reasons))
    for part_id, each in inner.items():
        part = workflow.subprocesses[part_id]
        _rest_on(each, part, new.subprocess_specs[part.spec.name])
    _rest_on(top, workflow, new.spec)
    workflow.subprocess_specs = new.subprocess_specs
    return Run(workflow, now), []


def _rest_on(diff: WorkflowDiff, workflow: Any, spec: Any) -> None:  # noqa: ANN401  # Spiff's.
    """Let the tasks rest on the new specification, and foretell what follows them anew.

    SpiffWorkflow's own `migrate_workflow` makes tasks that were only foretold ready to run.
    """
    workflow.spec = spec
    for task, aligned in diff.alignment.items():
        if aligned is not None:
            task.task_spec = aligned
    standing = TaskState.READY | TaskState.WAITING | TaskState.STARTED
    for task in list(workflow.get_tasks(state=standing, skip_subprocesses=True)):
        for child in list(task.children):
            if child.has_state(TaskState.PREDICTED_MASK | TaskState.FUTURE):
                child._drop_children(force=True)  # noqa: SLF001  # Nothing public does this.
                workflow._remove_task(child.id)  # noqa: SLF001  # As above.
    for task in list(workflow.get_tasks(state=standing, skip_subprocesses=True)):
        # Whatever has a child that stands somewhere has nothing foretold itself; a loop's
        # children were begun by it, and do not count.
        if all(child.triggered for child in task.children):
            task.task_spec._predict(task, mask=TaskState.NOT_FINISHED_MASK)  # noqa: SLF001


def _reasons(diff: WorkflowDiff, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    begun = TaskState.FINISHED_MASK | TaskState.READY | TaskState.WAITING | TaskState.STARTED
    there = filter_tasks(list(diff.alignment), state=begun)
    names = {
        "is gone": filter_tasks(diff.removed, state=begun),
        "differs": [
            *filter_tasks(diff.changed, state=begun),
            *(
                task
                for task in there
                if old.get(task.task_spec.bpmn_id) != new.get(task.task_spec.bpmn_id)
            ),
        ],
    }
    return [
        f"'{task.task_spec.bpmn_name or task.task_spec.bpmn_id}' {word}, and the process was there."
        for word, tasks in names.items()
        for task in tasks
        if task.task_spec.bpmn_id
    ]
