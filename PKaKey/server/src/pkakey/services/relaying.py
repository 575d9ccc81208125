"""Deliver the outbox to the event stream, at least once."""

import json
import logging
from collections import defaultdict
from datetime import datetime
from uuid import UUID

from pkakey_events import Actor, Envelope
from redis import Redis

from pkakey.services.outside import Outside
from pkakey.services.principals import system_principal
from pkakey.store.context import acting_as
from pkakey.store.outbox.models import Event
from pkakey.store.reading import rows

STREAM = "theddt.events"
STREAM_LENGTH = 100_000
_AT_ONCE = 500
_REQUESTS_A_LINE = 100

logger = logging.getLogger(__name__)


def relay_outbox(outside: Outside, *, now: datetime) -> int:
    """Send what waits, oldest first; return how many events were sent.

    An event is marked after it was sent: a relay that dies between sends it again, and consumers
    know it by its id. Raises redis' errors when the server does not answer.
    """
    sent = 0
    with Redis.from_url(outside.redis_url, socket_timeout=5) as redis:
        while waiting := rows("SELECT * FROM pki.waiting_events(%s)", [_AT_ONCE]):
            delivered: defaultdict[tuple[UUID, str], list[UUID]] = defaultdict(list)
            with redis.pipeline(transaction=False) as pipe:
                for row in waiting:
                    envelope = _envelope(row)
                    delivered[row[1], row[2]].append(envelope.id)
                    pipe.xadd(
                        STREAM,
                        {
                            "id": str(envelope.id),
                            "type": envelope.type,
                            "envelope": envelope.to_json(),
                        },
                        maxlen=STREAM_LENGTH,
                        approximate=True,
                    )
                pipe.execute()
            for (namespace_id, namespace), ids in delivered.items():
                principal = system_principal(
                    namespace_id=namespace_id, namespace=namespace, name="relay"
                )
                with acting_as(principal):
                    sent_now = Event.objects.filter(id__in=ids)
                    sent_now.update(delivered_at=now)
                    requests = sent_now.exclude(request_id="").values_list("request_id", flat=True)
                    _say(namespace, len(ids), sorted(set(requests)))
            sent += len(waiting)
            if len(waiting) < _AT_ONCE:
                break
    return sent


def _say(namespace: str, events: int, requests: list[str]) -> None:
    """Log which requests' events were sent: some in each line, since a line each costs too much."""
    for start in range(0, len(requests), _REQUESTS_A_LINE) if requests else (0,):
        logger.info(
            "Events were delivered.",
            extra={
                "namespace": namespace,
                "events": events,
                "requests": requests[start : start + _REQUESTS_A_LINE],
            },
        )


def _envelope(row: tuple[object, ...]) -> Envelope:
    event_id, _, namespace, kind, version, actor_kind, actor_id, actor_name, payload, at = row
    return Envelope.model_validate(
        {
            "id": event_id,
            "type": kind,
            "version": version,
            "namespace": namespace,
            "occurred_at": at,
            "actor": Actor.model_validate({"kind": actor_kind, "id": actor_id, "name": actor_name}),
            "payload": payload if isinstance(payload, dict) else _parsed(payload),
        }
    )


def _parsed(payload: object) -> object:
    return json.loads(str(payload))
