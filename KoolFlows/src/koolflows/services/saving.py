"""Saving a process after a move: its state and all that follows from it, in one commit.

The state's row is written first, under its revision: of two moves at once one wins, and the other
raises `Moved` before it wrote anything.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from koolflows.engine.running import Run, Thrown, WaitingTask
from koolflows.engine.timers import span_of
from koolflows.store.context import Principal
from koolflows.store.definitions.models import Version
from koolflows.store.history.models import Entry
from koolflows.store.instances.models import Instance, Subscription
from koolflows.store.jobs.models import Job
from koolflows.store.tasks.models import HumanTask

RUNNING: Final = "running"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
OPEN: Final = "open"
WAITING: Final = "waiting"


class Moved(Exception):  # noqa: N818  # What happened, not what is wrong.
    """Somebody else moved the process since it was read: read it again."""


@dataclass
class Move:
    """One move of one process: by whom, when, and what it adds to the history."""

    instance: Instance
    version: Version
    principal: Principal
    now: datetime
    entries: list[Entry] = field(default_factory=list)
    later: list[Callable[[], None]] = field(default_factory=list)

    def note(self, kind: str, element: str = "", **data: Any) -> None:  # noqa: ANN401  # JSON.
        """Add a line to the history."""
        self.entries.append(
            Entry(
                namespace=self.instance.namespace,
                instance_id=self.instance.pk,
                at=self.now,
                kind=kind,
                element=element,
                actor=self.principal.subject,
                actor_name=self.principal.name,
                request_id=self.principal.request_id,
                data=data,
            )
        )


def job_id(instance_id: UUID, token: UUID | str) -> UUID:
    """Return a job's id, which is its idempotency key: the same for the same token, always."""
    return uuid5(instance_id, str(token))


def save(
    move: Move, run: Run, *, notifies: bool = False, close: Callable[[], None] = lambda: None
) -> None:
    """Write the run's state and what follows. Raises `Moved`, `StepFailed`, and what `close` does.

    `close` settles the task or job that moved the process. It runs after the process's own row is
    written: every move takes the locks in this order, so that no two wait for each other.
    """
    instance = move.instance
    for step in run.steps:
        move.note("passed", step.element)
    is_over = run.is_over
    # Before the state is written: what has been sent is no part of it, or each move sends it again.
    thrown = run.thrown()
    instance.content = run.dump()
    if is_over:
        instance.state, instance.ended_at = COMPLETED, move.now
        instance.outcome = run.outcome()
        instance.data = _small(run.data)
        move.note("completed", instance.outcome)
    else:
        instance.state = RUNNING
        instance.incident_code = instance.incident_detail = ""
    instance.next_due_at = None if is_over else run.due()
    write(instance)
    close()
    for act in move.later:
        act()
    _tasks(move, run, notifies=notifies)
    _jobs(move, run, thrown)
    _subscriptions(instance, set() if is_over else run.messages())
    Entry.objects.bulk_create(move.entries)


def write(instance: Instance) -> None:
    """Write the instance's row under its revision; raises `Moved`."""
    before = instance.revision
    instance.revision = before + 1
    written = Instance.objects.filter(pk=instance.pk, revision=before).update(
        version=instance.version,
        state=instance.state,
        outcome=instance.outcome,
        revision=instance.revision,
        content=instance.content,
        data=instance.data,
        next_due_at=instance.next_due_at,
        incident_code=instance.incident_code,
        incident_detail=instance.incident_detail,
        ended_at=instance.ended_at,
    )
    if written != 1:
        raise Moved


def _small(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "data_objects"}


def _tasks(move: Move, run: Run, *, notifies: bool) -> None:
    instance = move.instance
    waiting = {task.id: task for task in run.humans()}
    known = {task.pk: task for task in HumanTask.objects.filter(instance=instance, state=OPEN)}
    gone = [pk for pk in known if pk not in waiting]
    if gone:
        HumanTask.objects.filter(pk__in=gone).update(state=CANCELLED)
        for pk in gone:
            move.note("task-withdrawn", known[pk].element, task=str(pk))
    new = [_human(move, run, task) for pk, task in waiting.items() if pk not in known]
    HumanTask.objects.bulk_create(new)
    for task in new:
        move.note("task-opened", task.element, task=str(task.pk), title=task.title)
    if notifies:
        Job.objects.bulk_create(
            Job(
                id=job_id(instance.pk, f"notify {task.pk}"),
                namespace=instance.namespace,
                instance=instance,
                element=task.element,
                operation="notify",
                parameters={
                    "to": task.assignee or task.roles,
                    "subject": f"A new task: {task.title}",
                    "text": f"{task.title} waits for a decision.",
                },
                state=WAITING,
                next_attempt_at=move.now,
                created_at=move.now,
            )
            for task in new
        )


def _human(move: Move, run: Run, waiting: WaitingTask) -> HumanTask:
    facts = move.version.facts["elements"][waiting.element]
    assignment = facts["assignment"]
    title, assignee, due = facts["name"], None, None
    if assignment["title"]:
        title = str(run.evaluate(assignment["title"], waiting.data))[:300]
    if assignment["assignee"]:
        assignee = str(run.evaluate(assignment["assignee"], waiting.data))[:128]
    if assignment["due"]:
        due = move.now + span_of(
            str(run.evaluate(assignment["due"], waiting.data)), move.now, waiting.element
        )
    return HumanTask(
        id=waiting.id,
        namespace=move.instance.namespace,
        instance=move.instance,
        element=waiting.element,
        name=facts["name"],
        title=title,
        state=OPEN,
        roles=assignment["roles"],
        assignee=assignee,
        excluded=excluded(move.instance, assignment),
        data=_small(waiting.data),
        created_at=move.now,
        due_at=due,
    )


def excluded(instance: Instance, assignment: Mapping[str, Any]) -> list[str]:
    """Return the subjects who may not decide: the starter, and who decided the named tasks."""
    subjects: set[str | None] = set() if assignment["allow_starter"] else {instance.started_by}
    if assignment["distinct_from"]:
        subjects |= set(
            HumanTask.objects.filter(
                instance=instance, element__in=assignment["distinct_from"], state=COMPLETED
            ).values_list("completed_by", flat=True)
        )
    return sorted(subject for subject in subjects if subject)


def _jobs(move: Move, run: Run, thrown: Iterable[Thrown]) -> None:
    instance = move.instance
    services = [] if run.is_over else run.services()
    waiting = {job_id(instance.pk, task.id): task for task in services}
    known = set(Job.objects.filter(instance=instance, pk__in=waiting).values_list("pk", flat=True))
    jobs = [
        _job(move, pk, task.id, task.element, _operation(move, task), task.parameters)
        for pk, task in waiting.items()
        if pk not in known
    ]
    jobs += [
        _job(
            move,
            job_id(instance.pk, f"message {instance.revision} {index}"),
            None,
            "",
            "flows.message",
            {"name": message.name, "payload": dict(message.payload)},
        )
        for index, message in enumerate(thrown)
    ]
    Job.objects.bulk_create(jobs)
    # What a boundary event or an end took back is not to be done any more.
    Job.objects.filter(instance=instance, state=WAITING, task_id__isnull=False).exclude(
        pk__in=waiting
    ).update(state=CANCELLED)
    for job in jobs:
        move.note("job-queued", job.element, job=str(job.pk), operation=job.operation)


def _operation(move: Move, task: WaitingTask) -> str:
    return str(move.version.facts["elements"][task.element]["operation"])


def _job(  # A row has as many columns.
    move: Move,
    pk: UUID,
    task_id: UUID | None,
    element: str,
    operation: str,
    parameters: Mapping[str, Any],
) -> Job:
    return Job(
        id=pk,
        namespace=move.instance.namespace,
        instance=move.instance,
        task_id=task_id,
        element=element,
        operation=operation,
        parameters=dict(parameters),
        state=WAITING,
        next_attempt_at=move.now,
        created_at=move.now,
    )


def _subscriptions(instance: Instance, names: Iterable[str]) -> None:
    wanted = set(names)
    known = set(Subscription.objects.filter(instance=instance).values_list("name", flat=True))
    if wanted == known:
        return
    Subscription.objects.filter(instance=instance).delete()
    Subscription.objects.bulk_create(
        Subscription(
            namespace=instance.namespace,
            instance=instance,
            name=name,
            business_key=instance.business_key,
        )
        for name in sorted(wanted)
    )
