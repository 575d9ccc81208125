"""The audit log, to read."""

import json

from pkakey.selectors.cursors import Cursor, MalformedCursor, neighbours
from pkakey.selectors.results import AuditEvent, Page
from pkakey.store.audit.models import Entry
from pkakey.store.context import Principal, acting_as, require

COUNT_CAP = 1000
_MAX_ID_DIGITS = 18


def list_events(
    principal: Principal,
    *,
    target: str | None = None,
    action: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[AuditEvent]:
    """Return one page, newest first; raises `NotPermitted` and `MalformedCursor`."""
    require(principal, "audit:read")
    place = Cursor.from_text(cursor, parts=1)
    with acting_as(principal):
        found = Entry.objects.all()
        if target:
            found = found.filter(target=target)
        if action:
            found = found.filter(action=action)
        count = found.order_by()[: COUNT_CAP + 1].count()
        if place is not None:
            position = _row_id(place)
            found = (
                found.filter(id__gt=position)
                if place.is_backward
                else found.filter(id__lt=position)
            )
        is_backward = place is not None and place.is_backward
        rows = list(found.order_by("id" if is_backward else "-id")[: limit + 1])
    has_more = len(rows) > limit
    rows = rows[:limit]
    if is_backward:
        rows.reverse()
    next_cursor, previous_cursor = neighbours(
        place, [(str(row.id),) for row in rows], has_more=has_more
    )
    return Page(
        items=tuple(map(event_of, rows)),
        next_cursor=next_cursor,
        previous_cursor=previous_cursor,
        count=min(count, COUNT_CAP),
        count_capped=count > COUNT_CAP,
    )


def _row_id(cursor: Cursor) -> int:
    text = cursor.position[0]
    if not text.isascii() or not text.isdigit() or len(text) > _MAX_ID_DIGITS:
        raise MalformedCursor
    return int(text)


def event_of(row: Entry) -> AuditEvent:
    """Return the entry as a value."""
    return AuditEvent(
        id=row.id,
        at=row.at,
        action=row.action,
        actor_kind=row.actor_kind,
        actor_id=row.actor_id,
        actor_name=row.actor_name,
        target=row.target,
        request_id=row.request_id,
        data=json.loads(row.data),
        leaf_hash=bytes(row.leaf_hash).hex(),
    )
