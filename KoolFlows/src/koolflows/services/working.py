"""The worker's side of service tasks: an effect outside, then the process moved, each once.

An effect is claimed for some time, done under its idempotency key, and its outcome saved together
with the process's move. A worker that dies in between leaves a claim that ends; the next one does
the same effect with the same key, and the other side answers as it did before.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from koolflows.engine.errors import FlowError, StepFailed
from koolflows.services.messaging import deliver
from koolflows.services.moving import load, record_incident, with_retries
from koolflows.services.outside import Effect, Outside, RefusedOutside, Unavailable
from koolflows.services.saving import OPEN, RUNNING, WAITING, Move, save
from koolflows.store.context import Principal, acting_as, system
from koolflows.store.errors import Conflict, NotFound
from koolflows.store.history.models import Entry
from koolflows.store.instances.models import Instance
from koolflows.store.jobs.models import Job
from koolflows.store.reading import rows
from koolflows.store.tasks.models import HumanTask

__all__ = ["do_due_jobs", "do_job"]

logger = logging.getLogger(__name__)

AT_ONCE: Final = 50
CLAIM: Final = timedelta(seconds=60)
LONGEST_WAIT: Final = timedelta(minutes=5)
DONE: Final = "done"


class _SettledError(Exception):
    """Another worker settled the job: this one's transaction is taken back."""


def do_due_jobs(outside: Outside, *, now: datetime, beat: Callable[[], None]) -> int:
    """Do what is due, at most `AT_ONCE`, with a beat before each; return how many were done."""
    done = 0
    for job_id, namespace in rows(
        "SELECT id, namespace FROM flows.due_jobs(%s, %s)", [now, AT_ONCE]
    ):
        beat()
        done += do_job(outside, job_id, namespace, now=now)
    return done


def do_job(outside: Outside, job_id: UUID, namespace: str, *, now: datetime) -> bool:
    """Do one job that is due; return False when it is not ours or has to wait."""
    principal = system(namespace, "worker")
    claimed = _claim(job_id, principal, now)
    if claimed is None:
        return False
    job, effect = claimed
    try:
        result = _perform(outside, job, effect, principal, now)
    except Unavailable as error:
        _later(job, principal, now, str(error))
        return False
    except (RefusedOutside, NotFound, FlowError) as error:
        code = getattr(error, "code", "message.not-awaited")
        _refused(job, principal, now, code, str(error), notifies=outside.notifies)
        return True
    try:
        _done(job, principal, now, result, notifies=outside.notifies)
    except FlowError as error:
        record_incident(principal, job.instance_id, error, now)
    return True


def _claim(job_id: UUID, principal: Principal, now: datetime) -> tuple[Job, Effect] | None:
    with acting_as(principal):
        due = Job.objects.filter(pk=job_id, state=WAITING, next_attempt_at__lte=now)
        job = due.select_for_update(skip_locked=True).select_related("instance").first()
        if job is None:
            return None
        instance = job.instance
        if job.task_id is not None and instance.state != RUNNING:
            # It waits with its process; letting that go on makes it due again.
            due.update(next_attempt_at=now + LONGEST_WAIT)
            return None
        due.update(attempts=job.attempts + 1, next_attempt_at=now + CLAIM)
        job.attempts += 1
        version = instance.version
        process = {
            "id": str(instance.pk),
            "key": instance.key,
            "version": version.number,
            "sha256": version.sha256,
            "namespace": instance.namespace,
            "business_key": instance.business_key,
            "title": instance.title,
            "path": _path(instance.pk),
            "deciders": _deciders(instance.pk),
        }
        return job, Effect(str(job.pk), job.operation, job.parameters, process)


def _path(instance_id: UUID) -> list[str]:
    passed = Entry.objects.filter(instance_id=instance_id, kind="passed").order_by("id")
    return list(passed.values_list("element", flat=True)[:200])


def _deciders(instance_id: UUID) -> list[dict[str, Any]]:
    return [
        {"subject": task.completed_by, "name": task.completed_by_name, "element": task.element,
         "at": task.completed_at.isoformat() if task.completed_at else None}
        for task in HumanTask.objects.filter(
            instance_id=instance_id, completed_by__isnull=False
        ).order_by("completed_at")
    ]  # fmt: skip


def _perform(
    outside: Outside, job: Job, effect: Effect, principal: Principal, now: datetime
) -> Mapping[str, Any]:
    if job.operation == "escalate":
        return {"roles": list(effect.parameters["roles"])}
    if job.operation == "flows.message":
        found = deliver(
            principal=principal,
            name=str(effect.parameters["name"]),
            business_key=str(effect.parameters["payload"].get("business_key", "")),
            payload=effect.parameters["payload"],
            message_id=effect.key,
            now=now,
            notifies=outside.notifies,
        )
        return {"process": str(found)}
    return outside.perform(effect)


def _later(job: Job, principal: Principal, now: datetime, error: str) -> None:
    wait = min(LONGEST_WAIT, timedelta(seconds=2 ** min(job.attempts, 9)))
    logger.warning("%s of process %s waits: %s", job.operation, job.instance_id, error)
    with acting_as(principal):
        Job.objects.filter(pk=job.pk, state=WAITING).update(
            next_attempt_at=now + wait, last_error=error[:500]
        )


def _done(
    job: Job, principal: Principal, now: datetime, result: Mapping[str, Any], *, notifies: bool
) -> None:
    def close() -> None:
        if not _settle(job, now, state=DONE, result=dict(result)):
            raise _SettledError

    def act() -> None:
        moved = _loaded(job, principal, now) if job.task_id is not None else None
        if moved is None:
            close()
            _note(job, principal, now, "job-done", result=dict(result))
            return
        move, run = moved
        run.finish(job.task_id, result)
        move.note("job-done", job.element, job=str(job.pk), operation=job.operation)
        if job.operation == "escalate":
            move.later.append(lambda: _escalate(move, job))
        save(move, run, notifies=notifies, close=close)

    with suppress(_SettledError):
        with_retries(principal, act)


def _refused(
    job: Job, principal: Principal, now: datetime, code: str, detail: str, *, notifies: bool
) -> None:
    def close() -> None:
        if not _settle(job, now, state="failed", error=f"{code}: {detail}"):
            raise _SettledError

    def act() -> bool:
        moved = _loaded(job, principal, now) if job.task_id is not None else None
        if moved is None:
            close()
            _note(job, principal, now, "job-failed", code=code, detail=detail)
            return True
        move, run = moved
        if not run.fail(job.task_id, code, detail):
            return False
        move.note("job-failed", job.element, job=str(job.pk), code=code, detail=detail)
        save(move, run, notifies=notifies, close=close)
        return True

    try:
        is_handled = with_retries(principal, act)
    except _SettledError:
        return
    except FlowError as error:
        record_incident(principal, job.instance_id, error, now)
        return
    if not is_handled:
        # The diagram has no path for it: the process stops here, and the job waits with it.
        with acting_as(principal):
            Job.objects.filter(pk=job.pk).update(last_error=f"{code}: {detail}"[:500])
        record_incident(
            principal, job.instance_id, StepFailed(code, detail, element=job.element), now
        )


def _loaded(job: Job, principal: Principal, now: datetime) -> tuple[Move, Any] | None:
    try:
        move, run = load(job.instance_id, principal, now)
    except Conflict:
        # Cancelled or stopped while the effect was done.
        return None
    # A boundary event may have taken the token away meanwhile.
    return (move, run) if job.task_id in {task.id for task in run.services()} else None


def _settle(job: Job, now: datetime, *, state: str, result: Any = None, error: str = "") -> bool:  # noqa: ANN401
    """Close the job; return False when another worker closed it before."""
    changed = Job.objects.filter(pk=job.pk, state=WAITING).update(
        state=state, done_at=now, result=result, last_error=error[:500]
    )
    return changed == 1


def _escalate(move: Move, job: Job) -> None:
    roles = [str(role) for role in job.parameters["roles"]]
    element = str(job.parameters["task"])
    for task in HumanTask.objects.filter(instance=move.instance, element=element, state=OPEN):
        wider = list(dict.fromkeys([*task.roles, *roles]))
        # Whoever let it lie does not keep it from the others.
        HumanTask.objects.filter(pk=task.pk, state=OPEN).update(
            roles=wider, assignee=None, assignee_name=""
        )
        move.note("escalated", element, task=str(task.pk), roles=wider)


def _note(job: Job, principal: Principal, now: datetime, kind: str, **data: Any) -> None:  # noqa: ANN401
    if Instance.objects.filter(pk=job.instance_id).exists():
        Entry.objects.create(
            namespace=job.namespace,
            instance_id=job.instance_id,
            at=now,
            kind=kind,
            element=job.element,
            actor=principal.subject,
            actor_name=principal.name,
            data={"job": str(job.pk), "operation": job.operation, **data},
        )
