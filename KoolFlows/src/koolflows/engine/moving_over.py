"""Moving a running process to another version of its diagram, with a check."""

from datetime import datetime

from SpiffWorkflow.bpmn.util.diff import WorkflowDiff, diff_workflow, filter_tasks, migrate_workflow
from SpiffWorkflow.util.task import TaskState

from koolflows.engine.running import Run
from koolflows.engine.specs import REGISTRY, Compiled, restored


def moved_over(
    old: Compiled, new: Compiled, state: str, now: datetime
) -> tuple[Run | None, list[str]]:
    """Return the process on the new version, or None and why it has to stay.

    It may move when every element that its tokens passed or stand on is there unchanged: then the
    new diagram tells the truth about its past, and only its future differs.
    """
    workflow = restored(old, state)
    top, inner = diff_workflow(REGISTRY, workflow, new.spec, new.subprocess_specs)
    reasons = _reasons(top)
    for each in inner.values():
        reasons += ["A part that has begun is gone."] if each is None else _reasons(each)
    if reasons:
        return None, sorted(set(reasons))
    for part_id, each in inner.items():
        part = workflow.subprocesses[part_id]
        migrate_workflow(
            each, part, new.subprocess_specs[part.spec.name], reset_mask=TaskState.PREDICTED_MASK
        )
    migrate_workflow(top, workflow, new.spec, reset_mask=TaskState.PREDICTED_MASK)
    workflow.subprocess_specs = new.subprocess_specs
    return Run(workflow, now), []


def _reasons(diff: WorkflowDiff) -> list[str]:
    begun = TaskState.FINISHED_MASK | TaskState.READY | TaskState.WAITING | TaskState.STARTED
    names = {
        "is gone": filter_tasks(diff.removed, state=begun),
        "differs": filter_tasks(diff.changed, state=begun),
    }
    return [
        f"'{task.task_spec.bpmn_name or task.task_spec.bpmn_id}' {word}, and the process was there."
        for word, tasks in names.items()
        for task in tasks
        if task.task_spec.bpmn_id
    ]
