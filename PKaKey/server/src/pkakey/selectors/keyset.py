"""Keyset pages of rows that are listed newest first, by a moment and their id."""

from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from pkakey.selectors.cursors import Cursor, MalformedCursor

Row = TypeVar("Row", bound=Model)


def from_place(found: QuerySet[Row], cursor: Cursor | None, *, moment: str) -> QuerySet[Row]:
    """Return the rows from the cursor's place on, in the direction in which it reads.

    `moment` names the field of time that orders them; raises `MalformedCursor`.
    """
    if cursor is None:
        return found.order_by(f"-{moment}", "-id")
    try:
        at, row_id = datetime.fromisoformat(cursor.position[0]), UUID(cursor.position[1])
    except ValueError:
        raise MalformedCursor from None
    if at.tzinfo is None:
        raise MalformedCursor
    sign = "gt" if cursor.is_backward else "lt"
    beyond = Q(**{f"{moment}__{sign}": at}) | Q(**{moment: at, f"id__{sign}": row_id})
    # The second condition repeats the first's bound in a form that an index takes.
    bound = {f"{moment}__{sign}e": at}
    order = (moment, "id") if cursor.is_backward else (f"-{moment}", "-id")
    return found.filter(beyond, **bound).order_by(*order)


def position(row: Any, *, moment: str) -> tuple[str, ...]:  # noqa: ANN401  # Any model.
    """Return a row's place, as a cursor keeps it."""
    return getattr(row, moment).isoformat(), str(row.id)
