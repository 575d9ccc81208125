"""Opaque cursors of keyset pages: a position and a direction."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass

from pkakey.store.errors import Conflict

MAX_CURSOR_CHARACTERS = 255


class MalformedCursor(Conflict, ValueError):  # noqa: N818  # An answer for who sent it.
    """The text is no cursor that a page of ours gave out."""

    def __init__(self) -> None:
        super().__init__(
            "cursor.malformed",
            "This cursor is not one that a page gave out. Start from the first page, without one.",
        )


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: after `position` (the last row's sort key), or before it."""

    position: tuple[str, ...]
    is_backward: bool = False

    def to_text(self) -> str:
        """Return the cursor as the text that goes into an address."""
        data = json.dumps([int(self.is_backward), *self.position], separators=(",", ":"))
        return base64.urlsafe_b64encode(data.encode()).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str | None, *, parts: int) -> "Cursor | None":
        """Return the cursor, None for none; raises `MalformedCursor`."""
        if text is None:
            return None
        if len(text) > MAX_CURSOR_CHARACTERS:
            raise MalformedCursor
        try:
            octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            data = json.loads(octets)
        except (binascii.Error, ValueError, RecursionError):
            raise MalformedCursor from None
        if (
            not isinstance(data, list)
            or len(data) != parts + 1
            or data[0] not in (0, 1)
            or not all(isinstance(part, str) and part.isprintable() for part in data[1:])
        ):
            raise MalformedCursor
        return cls(tuple(data[1:]), is_backward=bool(data[0]))


def neighbours(
    cursor: Cursor | None, positions: Sequence[tuple[str, ...]], *, has_more: bool
) -> tuple[str | None, str | None]:
    """Return the cursors of the next and the previous page.

    `positions` are those of the page's rows in the order in which they are shown; `has_more` says
    whether more rows follow in the direction of reading.
    """
    if not positions:
        return None, None
    is_backward = cursor is not None and cursor.is_backward
    has_next = is_backward or has_more
    has_previous = has_more if is_backward else cursor is not None
    return (
        Cursor(positions[-1]).to_text() if has_next else None,
        Cursor(positions[0], is_backward=True).to_text() if has_previous else None,
    )
