"""Publish full CRLs (RFC 5280 section 5)."""

import logging
from collections import defaultdict
from datetime import datetime, timedelta
from threading import Lock
from uuid import UUID, uuid4

from pkakey_engine.revocation import (
    RevocationReason,
    RevokedEntry,
    complete_crl,
    intend_crl,
)

from pkakey.services.errors import NotFound, ServiceError, ServiceUnavailable
from pkakey.services.finishing import store_crl
from pkakey.services.intents import ISSUE_INTENT, ask_signer
from pkakey.services.issuing_authority import forget, issuing_authority
from pkakey.services.namespace_walk import each_namespace
from pkakey.services.outside import Outside
from pkakey.services.principals import Principal, system_principal
from pkakey.services.results import PublishedCRL
from pkakey.store.authorities.models import CRL, Authority
from pkakey.store.context import acting_as
from pkakey.store.reading import rows

logger = logging.getLogger(__name__)

CRL_LIFE = timedelta(days=7)
CRLS_KEPT = 10


def publish_crl(outside: Outside, *, authority_id: UUID, now: datetime) -> PublishedCRL:
    """Sign and store a new full CRL; `services.Services.publish_crl` tells the rest.

    The number is taken under a lock on the authority, and the entries are read after that: so a
    higher number always has at least the entries of a lower one.
    """
    home = rows("SELECT id, slug FROM pki.authority_home(%s)", [authority_id])
    if not home:
        raise NotFound("authority")
    principal = system_principal(namespace_id=home[0][0], namespace=home[0][1], name="publisher")
    authority = issuing_authority(outside, principal, authority_id)
    intent_id = uuid4()
    with acting_as(principal):
        row = Authority.objects.select_for_update(no_key=True).get(id=authority_id)
        row.last_crl_number += 1
        row.save(update_fields=["last_crl_number"])
        entries = [
            RevokedEntry(
                serial_number=int(serial_number, 16),
                revoked_at=revoked_at,
                reason=RevocationReason(reason),
            )
            for serial_number, revoked_at, reason in rows(
                "SELECT * FROM pki.revoked_entries(%s, %s)", [authority_id, now]
            )
        ]
        intended = intend_crl(
            issuer=authority.issuer,
            crl_number=row.last_crl_number,
            entries=entries,
            now=now,
            next_update=now + CRL_LIFE,
        )
        # Step 1 (docs/flows/issuance.md), for a CRL: the intent commits with its number.
        outcome = rows(
            ISSUE_INTENT,
            [
                principal.namespace_id,
                principal.kind,
                principal.id,
                principal.name,
                principal.request_id,
                intent_id,
                authority_id,
                row.version,
                False,
                "crl",
                "crl",
                None,
                intended.to_be_signed,
                format(row.last_crl_number, "x"),
                row.subject,
                [],
                intended.this_update,
                intended.next_update,
                "",
                "",
                0,
                "",
                b"",
                "publisher",
                now,
                None,
                None,
            ],
        )[0][0]
    if outcome != "recorded":
        forget()
        raise ServiceUnavailable("database", "The authority is being changed. Try again.")
    signature = ask_signer(
        outside,
        kind="crl",
        key_id=authority.key_id,
        intent_id=intent_id,
        to_be_signed=intended.to_be_signed,
    )
    crl_der = complete_crl(intended, signature)
    store_crl(principal.namespace_id, intent_id, crl_der, now)
    return PublishedCRL(
        authority_id=authority_id,
        number=intended.crl_number,
        der=crl_der,
        revoked_count=len(entries),
        this_update=intended.this_update,
        next_update=intended.next_update,
    )


class _Turn:
    """Lets one thread of this process publish for all that wait for the same authority."""

    def __init__(self) -> None:
        self.publishing = Lock()
        self.counting = Lock()
        self.started = 0
        self.finished = 0


_turns: defaultdict[UUID, _Turn] = defaultdict(_Turn)


def publish_after_change(outside: Outside, *, authority_id: UUID, now: datetime) -> None:
    """Return when a CRL that was begun after this call is stored, by this thread or another.

    So a hundred revocations at once cost a few CRLs and not a hundred.
    """
    turn = _turns[authority_id]
    with turn.counting:
        needed = turn.started + 1
    with turn.publishing:
        if turn.finished >= needed:
            return
        with turn.counting:
            turn.started += 1
            this = turn.started
        publish_crl(outside, authority_id=authority_id, now=now)
        turn.finished = this


def publish_due_crls(outside: Outside, *, now: datetime) -> int:
    """Publish for each authority whose CRL is past half of its life or lacks a revocation."""
    published = 0
    for principal in each_namespace("publisher"):
        for authority_id in _due(principal, now):
            try:
                publish_crl(outside, authority_id=authority_id, now=now)
                published += 1
            except ServiceError:
                # One authority's trouble must not keep the others from their turn.
                logger.exception("The CRL of authority %s was not published.", authority_id)
    return published


def _due(principal: Principal, now: datetime) -> list[UUID]:
    due = []
    with acting_as(principal):
        active = Authority.objects.filter(
            namespace_id=principal.namespace_id, state=Authority.ACTIVE, not_after__gt=now
        )
        for authority in active:
            last = CRL.objects.filter(authority=authority).order_by("-number").first()
            revoked = rows("SELECT count(*) FROM pki.revoked_entries(%s, %s)", [authority.id, now])[
                0
            ][0]
            if (
                last is None
                or now >= last.this_update + (last.next_update - last.this_update) / 2
                or revoked != last.revoked_count
            ):
                due.append(authority.id)
    return due


def drop_old_crls() -> int:
    """Delete all but the newest CRLs of each authority; only the worker's role may."""
    dropped = 0
    for principal in each_namespace("publisher"):
        with acting_as(principal):
            for authority in Authority.objects.filter(namespace_id=principal.namespace_id):
                old = CRL.objects.filter(
                    authority=authority, number__lte=authority.last_crl_number - CRLS_KEPT
                )
                dropped += old.delete()[0]
    return dropped
