"""Human tasks: deciding, claiming, handing over."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from koolflows.engine.forms import check_values
from koolflows.services.moving import load, with_retries
from koolflows.services.saving import COMPLETED, OPEN, Move, excluded, save
from koolflows.store.context import Principal, acting_as, require
from koolflows.store.errors import Conflict, NotFound, NotPermitted
from koolflows.store.history.models import Entry
from koolflows.store.tasks.models import HumanTask

__all__ = ["claim", "decide", "delegate"]


def decide(
    *,
    principal: Principal,
    task_id: UUID,
    values: Mapping[str, Any],
    now: datetime,
    notifies: bool = False,
) -> UUID:
    """Complete a task with its form's values, and move its process; return the process's id.

    Raises `NotFound`, `NotPermitted`, `ValuesRefused`, `StepFailed`, and `Conflict` when somebody
    decided first (`task.not-open`).
    """
    require(principal, "flows:decide")

    def act() -> UUID:
        task = _open(task_id)
        _require_decider(task, principal)
        move, run = load(task.instance_id, principal, now)
        facts = move.version.facts["elements"][task.element]
        if principal.subject in excluded(move.instance, facts["assignment"]):
            raise NotPermitted(
                "task.own-request",
                "You started this process or decided an earlier step of it, so that somebody else "
                "has to decide this one.",
            )
        clean = check_values(facts["form"], values)
        decision = {**clean, "by": principal.subject, "by_name": principal.name,
                    "at": now.isoformat()}  # fmt: skip
        run.complete(task_id, facts["assignment"]["variable"], decision)
        move.note("decided", task.element, task=str(task_id), decision=clean, title=task.title)

        def close() -> None:
            changed = HumanTask.objects.filter(pk=task_id, state=OPEN).update(
                state=COMPLETED,
                completed_at=now,
                completed_by=principal.subject,
                completed_by_name=principal.name,
                decision=clean,
            )
            if changed != 1:
                raise _taken()

        save(move, run, notifies=notifies, close=close)
        _exclude_from_the_rest(move)
        return task.instance_id

    return with_retries(principal, act)


def claim(*, principal: Principal, task_id: UUID, now: datetime) -> None:
    """Take a task for oneself; raises `Conflict("task.claimed")` when somebody else has it."""
    require(principal, "flows:decide")
    with acting_as(principal):
        task = _open(task_id)
        _require_role(task, principal)
        if task.assignee == principal.subject:
            return
        if not HumanTask.objects.filter(pk=task_id, state=OPEN, assignee__isnull=True).update(
            assignee=principal.subject, assignee_name=principal.name
        ):
            raise Conflict("task.claimed", f"{task.assignee_name or task.assignee} has this task.")
        _note(task, principal, now, "claimed")


def delegate(
    *, principal: Principal, task_id: UUID, to: str, to_name: str, reason: str, now: datetime
) -> None:
    """Hand a task over to a person, who needs the role when deciding; `to` empty gives it back.

    Who has the task may do it, and an operator. Raises `NotFound`, `NotPermitted`, `Conflict`.
    """
    require(principal, "flows:decide")
    with acting_as(principal):
        task = _open(task_id)
        is_holder = task.assignee in {None, principal.subject} and bool(
            principal.roles & set(task.roles)
        )
        if not is_holder and not principal.can("flows:operate"):
            raise NotPermitted("task.not-yours", "Only who has the task may hand it over.")
        if to and to in task.excluded:
            raise NotPermitted(
                "task.own-request", "This person started the process or decided an earlier step."
            )
        changed = HumanTask.objects.filter(pk=task_id, state=OPEN, assignee=task.assignee).update(
            assignee=to or None, assignee_name=to_name
        )
        if not changed:
            raise _taken()
        _note(task, principal, now, "delegated", to=to, to_name=to_name, reason=reason)


def _note(task: HumanTask, principal: Principal, now: datetime, kind: str, **data: str) -> None:
    Entry.objects.create(
        namespace=task.namespace,
        instance_id=task.instance_id,
        at=now,
        kind=kind,
        element=task.element,
        actor=principal.subject,
        actor_name=principal.name,
        request_id=principal.request_id,
        data={"task": str(task.pk), **data},
    )


def _open(task_id: UUID) -> HumanTask:
    task = HumanTask.objects.filter(pk=task_id).first()
    if task is None:
        raise NotFound("task")
    if task.state != OPEN:
        raise _taken(task)
    return task


def _taken(task: HumanTask | None = None) -> Conflict:
    if task is not None and task.state == COMPLETED:
        return Conflict(
            "task.not-open",
            f"{task.completed_by_name} decided this task at "
            f"{task.completed_at:%Y-%m-%d %H:%M:%S} UTC.",
        )
    return Conflict("task.not-open", "This task is not open any more: it was decided or withdrawn.")


def _require_role(task: HumanTask, principal: Principal) -> None:
    if not principal.roles & set(task.roles):
        raise NotPermitted(
            "task.role",
            f"This task is decided by: {', '.join(task.roles)}. You hold none of these.",
        )


def _require_decider(task: HumanTask, principal: Principal) -> None:
    # The roles are those of this request's token: who lost a role meanwhile is refused here.
    _require_role(task, principal)
    if task.assignee is not None and task.assignee != principal.subject:
        name = task.assignee_name or task.assignee
        raise NotPermitted("task.not-yours", f"{name} has this task. Have it handed over first.")


def _exclude_from_the_rest(move: Move) -> None:
    """Tell the other open tasks of the process who has decided by now, for their inboxes."""
    for task in HumanTask.objects.filter(instance=move.instance, state=OPEN):
        assignment = move.version.facts["elements"][task.element]["assignment"]
        now_excluded = excluded(move.instance, assignment)
        if now_excluded != task.excluded:
            HumanTask.objects.filter(pk=task.pk).update(excluded=now_excluded)
