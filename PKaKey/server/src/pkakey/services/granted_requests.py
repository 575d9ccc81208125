"""Finish the requests within a grant that a process left open when it died.

Such a request is recorded, issued and closed in one call, so that one which is still recorded after
some minutes has nobody who works on it.
"""

import logging
from datetime import datetime, timedelta
from typing import Final

import psycopg
from pkakey_engine.errors import Refused, SignedBytesDiffer
from pkakey_engine.issuance import parse_csr
from pkakey_signers.errors import SignerError

from pkakey.services import issuance, requests
from pkakey.services.approved import require_requester
from pkakey.services.closing import (
    FAILED,
    ISSUED,
    close,
    in_requesters_name,
    reason_of,
    require_same,
)
from pkakey.services.errors import (
    Conflict,
    NotFound,
    NotPermitted,
    ServiceError,
    Unauthenticated,
)
from pkakey.services.grants import DIAGRAM, as_allowed
from pkakey.services.intents import IdempotencyKey
from pkakey.services.namespace_walk import each_namespace
from pkakey.services.outside import Outside
from pkakey.services.principals import Principal
from pkakey.store.certificates.models import IdempotencyKey as StoredKey
from pkakey.store.context import acting_as
from pkakey.store.requests.models import CertificateRequest, Grant

logger = logging.getLogger(__name__)

OPEN_FOR: Final = timedelta(minutes=5)
"""Longer than any call lives: what is refused here must not be issued by a call beside it."""
_AT_ONCE: Final = 100


def reconcile_granted(outside: Outside, *, now: datetime) -> int:
    """Issue or close each request within a grant that was left open; return how many closed."""
    closed = 0
    for principal in each_namespace("reconciler"):
        with acting_as(principal):
            found = CertificateRequest.objects.filter(
                state=requests.RECORDED, diagram=DIAGRAM, created_at__lt=now - OPEN_FOR
            )
            left = list(found.order_by("created_at", "id")[:_AT_ONCE])
        for row in left:
            try:
                _finish(outside, principal, row, now)
                closed += 1
            except SignedBytesDiffer:
                logger.critical("ALARM: the signer signed other bytes for request %s.", row.id)
            except (ServiceError, SignerError, psycopg.Error) as error:
                # One request's trouble must not keep the others from their turn.
                logger.warning("Request %s stays open: %s", row.id, error)
    return closed


def _finish(outside: Outside, principal: Principal, row: CertificateRequest, now: datetime) -> None:
    acting = in_requesters_name(principal, row)
    assert row.process_id is not None  # noqa: S101  # So it was recorded.
    with acting_as(principal):
        grant = Grant.objects.get(process_id=row.process_id)
        began = StoredKey.objects.filter(actor_id=_actor(acting), key=str(row.id)).first()
    allowed = as_allowed(grant, principal.namespace)
    if began is not None:
        # The intent was recorded while the grant held, so that its certificate may come.
        issued = issuance.replay(outside, acting, began.intent_id, now)
        close(principal, row, allowed, now, state=ISSUED, certificate_id=issued.id)
        return
    try:
        _require_in_force(grant, now)
        require_requester(principal, row)
        issued = issuance.issue_approved(
            outside,
            principal=acting,
            request=parse_csr(bytes(row.csr_der), compromised=outside.weak_keys),
            profile=row.profile,
            authority_id=row.authority_id,
            now=now,
            source=row.source,
            idempotency=IdempotencyKey(key=str(row.id), request_sha256=bytes.fromhex(row.sha256)),
            expect=lambda intended: require_same(row, intended),
        )
    except (Refused, Conflict, NotFound, NotPermitted, Unauthenticated) as error:
        close(principal, row, allowed, now, state=FAILED, reason=reason_of(error))
        return
    close(principal, row, allowed, now, state=ISSUED, certificate_id=issued.id)


def _actor(principal: Principal) -> str:
    return f"{principal.kind}:{principal.id}"


def _require_in_force(grant: Grant, now: datetime) -> None:
    if grant.withdrawn_at is not None or grant.until <= now:
        raise Conflict(
            "grant.over",
            "PKaKey stopped before this was issued, and the grant is over since. Send the request "
            "again: people decide on it.",
        )
