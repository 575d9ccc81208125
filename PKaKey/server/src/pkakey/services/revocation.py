"""Revoke a certificate for good."""

import logging
from datetime import datetime
from uuid import UUID, uuid4

from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.revocation import check_revocation_reason, parse_revocation_reason

from pkakey.services.crl_publishing import publish_after_change
from pkakey.services.errors import (
    Conflict,
    NotFound,
    ServiceError,
    Unauthenticated,
)
from pkakey.services.measuring import REVOKED
from pkakey.services.outside import Outside
from pkakey.services.principals import Principal, require
from pkakey.services.results import RevokedCertificate
from pkakey.store import direct
from pkakey.store.certificates.models import Certificate
from pkakey.store.context import acting_as

logger = logging.getLogger(__name__)

_REVOKE = (
    "SELECT outcome, authority, at, reason FROM pki.revoke_certificate(%s::uuid, %s::text, "
    "%s::text, %s::text, %s::text, %s::text, %s::uuid, %s::text, %s::timestamptz, %s::uuid)"
)


def revoke_certificate(
    outside: Outside,
    *,
    principal: Principal,
    serial_number: str,
    reason: str,
    now: datetime,
    authority_id: UUID | None = None,
) -> RevokedCertificate:
    """Revoke a certificate; `services.Services.revoke_certificate` tells the rest.

    OCSP sees it at the commit. The CRL is published before this returns; if the signer is away the
    revocation stands all the same, and the publishing job repeats it within a minute.
    """
    require(principal, "certificates:revoke")
    why = parse_revocation_reason(reason)
    purpose = _purpose(principal, serial_number, authority_id)
    check_revocation_reason(why, is_authority=purpose == "authority")
    if purpose == "authority":
        require(principal, "authorities:manage")
    values = (
        principal.namespace_id,
        principal.kind,
        principal.id,
        principal.name,
        principal.request_id,
        serial_number,
        authority_id,
        why.value,
        now,
        uuid4(),
    )
    outcome, authority, at, earlier = direct.call(_REVOKE, values)[0]
    if outcome == "missing":
        raise NotFound("certificate")
    if outcome == "token-revoked":
        raise Unauthenticated("token.revoked")
    if outcome == "already":
        raise Refused(
            Refusal.REVOCATION_ALREADY_REVOKED,
            f"The certificate {serial_number} was revoked at {at:%Y-%m-%d %H:%M:%S} UTC "
            f"({earlier}); there is nothing left to do.",
        )
    REVOKED.labels(why.value).inc()
    try:
        publish_after_change(outside, authority_id=authority, now=now)
    except (ServiceError, Refused):
        logger.exception("The CRL of authority %s was not published.", authority)
    return RevokedCertificate(serial_number=serial_number, reason=why.value, revoked_at=at)


def _purpose(principal: Principal, serial_number: str, authority_id: UUID | None) -> str:
    with acting_as(principal):
        found = Certificate.objects.filter(serial_number=serial_number)
        if authority_id is not None:
            found = found.filter(authority_id=authority_id)
        certificate = found.order_by("-issued_at").first()
        if certificate is None:
            raise NotFound("certificate")
        if certificate.purpose == "authority" and certificate.subject == _issuer(certificate):
            raise Conflict(
                "revocation.self-signed",
                "A root certificate cannot be revoked by its own CRL; remove it from the trust "
                "stores that hold it.",
            )
        return certificate.purpose


def _issuer(certificate: Certificate) -> str:
    return certificate.authority.subject
