"""Human tasks: the inbox of a person, and one task with its form."""

from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from koolflows.selectors.cursors import decode, encode
from koolflows.selectors.results import Page, Task
from koolflows.store.context import Principal, acting_as, require
from koolflows.store.errors import NotFound
from koolflows.store.tasks.models import HumanTask

BOXES = ("all", "mine", "group", "overdue")


def list_tasks(
    principal: Principal,
    *,
    box: str,
    now: datetime,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Task]:
    """Return open tasks that this person may decide, oldest first.

    `mine` are assigned to the person, `group` to nobody yet, `overdue` are past their time.
    """
    require(principal, "flows:read")
    with acting_as(principal):
        found = _related().filter(state="open")
        if box == "mine":
            found = found.filter(assignee=principal.subject)
        elif box == "group":
            found = found.filter(assignee__isnull=True)
        if box == "overdue":
            found = found.filter(due_at__lt=now)
        if box != "mine":
            found = found.filter(
                Q(roles__overlap=sorted(principal.roles)) | Q(assignee=principal.subject)
            )
            found = found.exclude(excluded__contains=[principal.subject])
        if cursor is not None:
            at, identity = decode(cursor)
            found = found.filter(Q(created_at__gt=at) | Q(created_at=at, id__gt=identity))
        rows = list(found.order_by("created_at", "id")[: limit + 1])
    more = rows[limit - 1] if len(rows) > limit else None
    return Page(
        [_result(task, principal) for task in rows[:limit]],
        encode(more.created_at, more.pk) if more else None,
    )


def get_task(principal: Principal, task_id: UUID) -> Task:
    """Return one task, to whom it concerns; raises `NotFound`."""
    require(principal, "flows:read")
    with acting_as(principal):
        task = _related().filter(pk=task_id).first()
        if task is None or not _concerns(task, principal):
            raise NotFound("task")
        return _result(task, principal)


def list_of_process(principal: Principal, instance_id: UUID) -> list[Task]:
    """Return a process's tasks that concern this person, oldest first."""
    with acting_as(principal):
        found = _related().filter(instance_id=instance_id).order_by("created_at", "id")
        return [_result(task, principal) for task in found if _concerns(task, principal)]


def _related() -> QuerySet[HumanTask]:
    return HumanTask.objects.select_related("instance", "instance__version").defer(
        "instance__content",
        "instance__data",
        "instance__version__files",
        "instance__version__specification",
    )


def _concerns(task: HumanTask, principal: Principal) -> bool:
    return (
        principal.can("flows:read-all")
        or bool(principal.roles & set(task.roles))
        or principal.subject in {task.assignee, task.instance.started_by, task.completed_by}
    )


def _result(task: HumanTask, principal: Principal) -> Task:
    version = task.instance.version
    return Task(
        id=task.pk,
        process_id=task.instance_id,
        process_title=task.instance.title,
        key=task.instance.key,
        version=version.number,
        element=task.element,
        name=task.name,
        title=task.title,
        state=task.state,
        roles=task.roles,
        assignee=task.assignee,
        assignee_name=task.assignee_name,
        may_decide=(
            task.state == "open"
            and bool(principal.roles & set(task.roles))
            and task.assignee in {None, principal.subject}
            and principal.subject not in task.excluded
        ),
        data=task.data,
        form=version.facts["elements"][task.element]["form"],
        created_at=task.created_at,
        due_at=task.due_at,
        completed_at=task.completed_at,
        completed_by=task.completed_by,
        completed_by_name=task.completed_by_name,
        decision=task.decision,
    )
