"""The outbox relay, against a real Redis-compatible server."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis as redis_client
from pkakey_events import parse_envelope


@pytest.fixture
def stream(redis_url: str) -> Iterator[Any]:
    with redis_client.Redis.from_url(redis_url) as redis:
        redis.flushall()
        yield redis


@pytest.fixture
def worker(platform: Any, worker_role: None, redis_url: str) -> Any:
    """The use cases as the worker process has them."""
    from pkakey.services import Services

    return Services(replace(platform.services.outside, redis_url=redis_url))


def envelopes(stream: Any) -> list[Any]:
    return [parse_envelope(fields[b"envelope"]) for _, fields in stream.xrange("theddt.events")]


def test_every_event_reaches_the_stream_in_order_and_fits_its_type(
    platform: Any, worker: Any, stream: Any, admin_connection: Any
) -> None:
    issued = platform.issue()
    worker.revoke_certificate(
        principal=platform.admin,
        serial_number=issued.serial_number,
        reason="superseded",
        now=platform.now,
    )
    (waiting,) = admin_connection.execute(
        "SELECT count(*) FROM outbox_event WHERE delivered_at IS NULL"
    ).fetchone()
    assert worker.relay_outbox(now=platform.now) == waiting
    got = envelopes(stream)
    assert len(got) == waiting
    kinds = [envelope.type for envelope in got]
    assert {"authority.created", "gateway-certificate.renewed", "crl.published"} <= set(kinds)
    assert kinds[-3:] == ["certificate.issued", "certificate.revoked", "crl.published"]
    assert got[-3].payload.serial_number == issued.serial_number
    assert worker.relay_outbox(now=platform.now) == 0


def test_a_relay_that_dies_after_sending_sends_the_same_ids_again(
    platform: Any, worker: Any, stream: Any, admin_connection: Any
) -> None:
    worker.relay_outbox(now=platform.now)
    first = [envelope.id for envelope in envelopes(stream)]
    # An audit entry without an event goes to the inventory only.
    admin_connection.execute(
        "UPDATE outbox_event SET delivered_at = NULL WHERE type <> 'audit.recorded'"
    )
    worker.relay_outbox(now=platform.now)
    assert [envelope.id for envelope in envelopes(stream)] == first * 2


def test_without_redis_nothing_is_marked_as_delivered(platform: Any, admin_connection: Any) -> None:
    with pytest.raises(redis_client.ConnectionError):
        platform.services.relay_outbox(now=platform.now)
    assert admin_connection.execute(
        "SELECT count(*) FROM outbox_event "
        "WHERE delivered_at IS NOT NULL AND type <> 'audit.recorded'"
    ).fetchone() == (0,)


def test_the_worker_drops_old_crls_and_keeps_the_newest(
    platform: Any, worker: Any, admin_connection: Any
) -> None:
    for _ in range(12):
        worker.publish_crl(authority_id=platform.issuing_id, now=platform.now)
    assert worker.drop_old_crls() == 3
    numbers = admin_connection.execute(
        "SELECT min(number), max(number) FROM authorities_crl WHERE authority_id = %s",
        [platform.issuing_id],
    ).fetchone()
    assert numbers == (4, 13)
