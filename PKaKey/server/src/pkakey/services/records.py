"""Write an audit entry, and an event beside it, in the caller's transaction."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from pkakey.services.principals import Principal
from pkakey.store.reading import rows

_RECORD = (
    "SELECT pki.record(%s::timestamptz, %s::text, %s::text, %s::text, %s::text, %s::text, "
    "%s::text, %s::jsonb, %s::uuid, %s::text, %s::smallint, %s::jsonb)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The event that tells others; `payload` fits its type in `pkakey_events`."""

    type: str
    payload: Mapping[str, Any]
    version: int = 1


def record(
    *,
    principal: Principal,
    now: datetime,
    action: str,
    target: str,
    details: Mapping[str, Any],
    told: Told | None = None,
) -> None:
    """Append the entry; must run inside `acting_as`, so that it stands or falls with the act."""
    rows(
        _RECORD,
        [
            now,
            action,
            principal.kind,
            principal.id,
            principal.name,
            target[:256],
            principal.request_id,
            json.dumps(details),
            uuid4() if told else None,
            told.type if told else None,
            told.version if told else None,
            json.dumps(told.payload) if told else None,
        ],
    )
