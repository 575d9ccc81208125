"""Deliver the outbox to PeSequel's inventory, in order, until both sides agree (docs/adr/0015).

The inventory counts its batches, and each outbox row remembers the batch that holds it. So the two
can be compared at the start of every pass, and an inventory that is new, was emptied or was
restored from a backup is filled again from where it stands, with the same result. PeSequel is
reached through the functions of its schema `inventory` and by nothing else.
"""

import json
import logging
import threading
from collections.abc import Iterable
from functools import cache
from typing import Any
from uuid import UUID, uuid5

import psycopg
from cryptography import x509
from pkakey_engine.keys import PublicKey, describe_key
from pkakey_events import Actor, Envelope
from pydantic import ValidationError

from pkakey.services.outside import Outside
from pkakey.store.reading import rows

logger = logging.getLogger(__name__)

AT_ONCE = 500
# The envelope of an audit entry beside an event: one entry, one id, however often it is sent.
_AUDIT_IDS = UUID("8f3d5c2e-4a0b-4c56-9b1f-0d7a5be1c3a7")
_turn = threading.Lock()


def deliver_to_inventory(outside: Outside) -> int:
    """Deliver what waits; return how many outbox rows were delivered.

    Without a configured inventory the outbox keeps everything, and 0 is returned; as it is while
    another thread of this process delivers. Raises psycopg's errors when the inventory does not
    answer; what was not marked is delivered again.
    """
    if outside.inventory_url is None:
        _say_that_the_outbox_is_kept()
        return 0
    if not _turn.acquire(blocking=False):
        return 0
    try:
        return _deliver(outside.inventory_url)
    finally:
        _turn.release()


def _deliver(inventory_url: str) -> int:
    delivered = 0
    with _inventory(inventory_url) as inventory:
        _agree(inventory)
        while waiting := rows("SELECT * FROM pki.waiting_for_inventory(%s)", [AT_ONCE]):
            events = [event for row in waiting for event in _events(row)]
            batch = _one(inventory, "SELECT inventory.deliver(%s)", [json.dumps(events)])[0]
            rows("SELECT pki.mark_in_inventory(%s, %s)", [[row[0] for row in waiting], batch])
            delivered += len(waiting)
            if len(waiting) < AT_ONCE:
                break
        count, oldest_at = rows("SELECT * FROM pki.inventory_lag()")[0]
        inventory.execute("SELECT inventory.report_waiting(%s, %s)", [count, oldest_at])
    return delivered


@cache
def _say_that_the_outbox_is_kept() -> None:
    logger.warning(
        "PKAKEY_INVENTORY_DATABASE_URL is not set: events for the inventory wait in the outbox."
    )


def rebuild_inventory(outside: Outside) -> int:
    """Empty the inventory and deliver every event from the first; return how many outbox rows."""
    if outside.inventory_url is None:
        return 0
    with _inventory(outside.inventory_url) as inventory:
        inventory.execute("SELECT inventory.reset()")
    return deliver_to_inventory(outside)


def _inventory(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    # Without prepared statements, which psycopg makes of what it repeats: PgBouncer, when it is
    # between, lends another server connection to each transaction and, before 1.21, keeps none.
    return psycopg.connect(url, autocommit=True, connect_timeout=5, prepare_threshold=None)


def _agree(inventory: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Let what the inventory has lost wait again, or empty it when it knows what we do not."""
    batch, last_event = _one(inventory, "SELECT batch, last_event FROM inventory.state()", [])
    if last_event is not None and not _is_ours(last_event):
        logger.warning("The inventory holds events that are not in this outbox: it is rebuilt.")
        inventory.execute("SELECT inventory.reset()")
        batch = 0
    again = rows("SELECT pki.rewind_inventory(%s)", [batch])[0][0]
    if again:
        logger.warning("The inventory stands at batch %s: %s events go again.", batch, again)


def _is_ours(event_id: UUID) -> bool:
    return bool(rows("SELECT pki.has_event(%s)", [event_id])[0][0])


def _one(
    inventory: psycopg.Connection[tuple[Any, ...]], query: str, values: list[Any]
) -> tuple[Any, ...]:
    row = inventory.execute(query.encode(), values).fetchone()
    if row is None:
        raise psycopg.DataError("The inventory's function returned no row.")
    return row


def _events(row: tuple[Any, ...]) -> Iterable[dict[str, Any]]:
    """Yield the row's audit entry, when it has one, and then its event, in their newest versions.

    The event comes last: the inventory remembers a batch by the id of its last one.
    """
    event_id, _, namespace, kind, version, actor_kind, actor_id, actor_name, payload, at = row[:10]
    der, facts, audit = row[10], _parsed(row[11]), _parsed(row[12])
    heading = {
        "namespace": namespace,
        "occurred_at": at,
        "actor": Actor(kind=actor_kind, id=actor_id, name=actor_name),
    }
    if audit is not None and kind != "audit.recorded":
        yield _checked(
            heading
            | {
                "id": uuid5(_AUDIT_IDS, str(audit["entry_id"])),
                "type": "audit.recorded",
                "version": 1,
                "payload": audit,
            }
        )
    body = audit if kind == "audit.recorded" else _parsed(payload)
    if kind == "certificate.issued" and version == 1 and der is not None:
        version, body = (
            2,
            body | facts | _key(der) | {"request_id": (audit or {}).get("request_id", "")},
        )
    elif kind == "authority.created" and version == 1 and der is not None:
        key = _key(der)
        key.pop("signature_algorithm")
        version, body = 2, body | facts | key
    yield _checked(heading | {"id": event_id, "type": kind, "version": version, "payload": body})


def _checked(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the envelope as JSON; one that fits no type is kept for later, with the reason."""
    try:
        data: dict[str, Any] = Envelope.model_validate(fields).model_dump(mode="json")
    except ValidationError as error:
        logger.exception("Event %s does not fit its type and is set aside.", fields["id"])
        places = sorted({".".join(str(part) for part in each["loc"]) for each in error.errors()})
        return {
            "id": str(fields["id"]),
            "type": fields["type"],
            # No version of ours: nothing is taken from what does not fit.
            "version": 0,
            "trouble": f"The event does not fit its type; look at: {', '.join(places)}.",
            "occurred_at": fields["occurred_at"].isoformat(),
            "payload": {},
        }
    return data


def _key(der: bytes) -> dict[str, Any]:
    """Return what an inventory asks about a certificate's key, from the certificate itself."""
    certificate = x509.load_der_x509_certificate(bytes(der))
    try:
        identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        key_id = identifier.value.digest.hex()
    except x509.ExtensionNotFound:
        key_id = None
    public_key: PublicKey = certificate.public_key()  # type: ignore[assignment]  # Of our engine.
    return {
        "key_id": key_id,
        "key_algorithm": describe_key(public_key),
        # The name of the algorithm in the library's table of object identifiers.
        "signature_algorithm": certificate.signature_algorithm_oid._name,  # noqa: SLF001
    }


def _parsed(value: Any) -> Any:  # noqa: ANN401  # JSON, as Django's cursor hands it over: text.
    return json.loads(value) if isinstance(value, str) else value
