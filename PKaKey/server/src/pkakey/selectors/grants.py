"""Grants: what needs no further approval, with what is over."""

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from pkakey.selectors.cursors import Cursor, neighbours
from pkakey.selectors.keyset import from_place, position
from pkakey.selectors.results import GrantItem, Page
from pkakey.store.context import Principal, acting_as, require
from pkakey.store.errors import NotFound
from pkakey.store.requests.models import Grant

STATES: Final = ("active", "expired", "withdrawn")
COUNT_CAP: Final = 1000
_MOMENT: Final = "created_at"


def list_grants(
    principal: Principal,
    *,
    now: datetime,
    state: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[GrantItem]:
    """Return one page, newest first; `state` is active, expired or withdrawn at `now`.

    Raises `NotPermitted` and `MalformedCursor`.
    """
    require(principal, "certificates:read")
    place = Cursor.from_text(cursor, parts=2)
    with acting_as(principal):
        found = _in_state(Grant.objects.all(), state, now)
        count = found.order_by()[: COUNT_CAP + 1].count()
        rows = list(from_place(found, place, moment=_MOMENT)[: limit + 1])
    has_more = len(rows) > limit
    rows = rows[:limit]
    if place is not None and place.is_backward:
        rows.reverse()
    next_cursor, previous_cursor = neighbours(
        place, [position(row, moment=_MOMENT) for row in rows], has_more=has_more
    )
    return Page(
        items=tuple(_item(row, now) for row in rows),
        next_cursor=next_cursor,
        previous_cursor=previous_cursor,
        count=min(count, COUNT_CAP),
        count_capped=count > COUNT_CAP,
    )


def get_grant(principal: Principal, grant_id: UUID, *, now: datetime) -> GrantItem:
    """Return one grant; raises `NotPermitted` and `NotFound("grant")`."""
    require(principal, "certificates:read")
    with acting_as(principal):
        row = Grant.objects.filter(pk=grant_id).first()
    if row is None:
        raise NotFound("grant")
    return _item(row, now)


def _in_state(found: QuerySet[Grant], state: str | None, now: datetime) -> QuerySet[Grant]:
    if state == "withdrawn":
        return found.filter(withdrawn_at__isnull=False)
    if state == "expired":
        return found.filter(withdrawn_at__isnull=True, until__lte=now)
    if state == "active":
        return found.filter(withdrawn_at__isnull=True, until__gt=now)
    return found


def _item(row: Grant, now: datetime) -> GrantItem:
    state = "withdrawn" if row.withdrawn_at else "expired" if row.until <= now else "active"
    return GrantItem(
        id=row.id,
        state=state,
        pattern=row.pattern,
        profile=row.profile,
        until=row.until,
        created_at=row.created_at,
        withdrawn_at=row.withdrawn_at,
        process_id=row.process_id,
        diagram=row.diagram,
        diagram_version=row.diagram_version,
        diagram_sha256=row.diagram_sha256,
        path=tuple(row.path),
        deciders=tuple(row.deciders),
    )
