"""Processes and their history."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet

from koolflows.engine.running import Run
from koolflows.selectors.cursors import decode, encode
from koolflows.selectors.results import HistoryEntry, Page, Process, ProcessDetail
from koolflows.selectors.versions import compiled
from koolflows.store.context import Principal, acting_as, require
from koolflows.store.errors import NotFound
from koolflows.store.history.models import Entry
from koolflows.store.instances.models import Instance
from koolflows.store.tasks.models import HumanTask

MOST_LINES: Final = 2000


def list_processes(
    principal: Principal,
    *,
    state: str | None = None,
    key: str | None = None,
    business_key: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Process]:
    """Return processes, newest first."""
    require(principal, "flows:read")
    with acting_as(principal):
        found = (
            _visible(principal)
            .select_related("version")
            .defer("content", "data", "version__files", "version__specification", "version__facts")
        )
        for name, value in {"state": state, "key": key, "business_key": business_key}.items():
            if value is not None:
                found = found.filter(**{name: value})
        if cursor is not None:
            at, identity = decode(cursor)
            found = found.filter(Q(started_at__lt=at) | Q(started_at=at, id__gt=identity))
        rows = list(found.order_by("-started_at", "id")[: limit + 1])
    more = rows[limit - 1] if len(rows) > limit else None
    return Page(
        [_summary(instance) for instance in rows[:limit]],
        encode(more.started_at, more.pk) if more else None,
    )


def get_process(principal: Principal, instance_id: UUID) -> ProcessDetail:
    """Return one process; raises `NotFound`."""
    require(principal, "flows:read")
    with acting_as(principal):
        instance = (
            _visible(principal)
            .select_related("version")
            .defer("version__specification")
            .filter(pk=instance_id)
            .first()
        )
        if instance is None:
            raise NotFound("process")
        run = Run.load(compiled(instance.version_id), instance.content, datetime.now(tz=UTC))
        summary = _summary(instance)
        is_running = instance.state in {"running", "failed"}
        return ProcessDetail(
            **{name: getattr(summary, name) for name in Process.__dataclass_fields__},
            data=instance.data,
            places=run.places() if is_running else [],
            path=run.path(),
            files=instance.version.files,
            facts=instance.version.facts,
            sha256=instance.version.sha256,
        )


def list_history(principal: Principal, instance_id: UUID) -> list[HistoryEntry]:
    """Return what happened to a process, oldest first; raises `NotFound`."""
    require(principal, "flows:read")
    with acting_as(principal):
        instance = _visible(principal).select_related("version").filter(pk=instance_id).first()
        if instance is None:
            raise NotFound("process")
        elements = instance.version.facts["elements"]
        return [
            HistoryEntry(
                at=entry.at,
                kind=entry.kind,
                element=entry.element,
                element_name=elements.get(entry.element, {}).get("name", entry.element),
                actor=entry.actor,
                actor_name=entry.actor_name,
                data=entry.data,
            )
            for entry in Entry.objects.filter(instance_id=instance_id).order_by("id")[:MOST_LINES]
        ]


def _visible(principal: Principal) -> QuerySet[Instance]:
    """Return what this principal may see: everything here, or what it started or decides."""
    found = Instance.objects.all()
    if principal.can("flows:read-all"):
        return found
    assigned = HumanTask.objects.filter(assignee=principal.subject).values("instance_id")
    return found.filter(Q(started_by=principal.subject) | Q(pk__in=assigned))


def _summary(instance: Instance) -> Process:
    return Process(
        id=instance.pk,
        key=instance.key,
        version=instance.version.number,
        name=instance.version.name,
        title=instance.title,
        business_key=instance.business_key,
        state=instance.state,
        outcome=instance.outcome,
        incident_code=instance.incident_code,
        incident_detail=instance.incident_detail,
        started_by=instance.started_by,
        started_by_name=instance.started_by_name,
        started_at=instance.started_at,
        ended_at=instance.ended_at,
        next_due_at=instance.next_due_at,
    )
