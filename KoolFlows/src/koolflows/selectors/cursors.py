"""Places in a list ordered by a time and an id, as opaque texts."""

import base64
import binascii
from datetime import datetime
from uuid import UUID

from koolflows.store.errors import Conflict


def encode(moment: datetime, identity: UUID) -> str:
    """Return the cursor of a row."""
    return base64.urlsafe_b64encode(f"{moment.isoformat()} {identity}".encode()).decode()


def decode(cursor: str) -> tuple[datetime, UUID]:
    """Return what `encode` took; raises `Conflict("cursor.unknown")`."""
    try:
        moment, _, identity = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        at, row = datetime.fromisoformat(moment), UUID(identity)
    except (ValueError, binascii.Error):
        raise _unknown() from None
    if at.tzinfo is None:
        raise _unknown()
    return at, row


def _unknown() -> Conflict:
    return Conflict("cursor.unknown", "This cursor is none of ours. Take it from `next` of a page.")
