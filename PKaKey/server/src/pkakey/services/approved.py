"""What KoolFlows has PKaKey do once a process allows it: exactly what was approved, and once.

KoolFlows proves itself by the shared service key (`fronts.flows`); its word is who decided and on
which way. That a certificate is the one that was approved, PKaKey checks itself.
"""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.issuance import IntendedCertificate, parse_csr

from pkakey.selectors.values import names_to_text
from pkakey.services import issuance, requests, revocation
from pkakey.services.closing import (
    FAILED,
    ISSUED,
    OPEN,
    REFUSED,
    Allowed,
    close,
    in_requesters_name,
    reason_of,
    require_same,
    told,
)
from pkakey.services.errors import Conflict, NotFound, NotPermitted, ServiceError, Unauthenticated
from pkakey.services.intents import IdempotencyKey
from pkakey.services.outside import Outside
from pkakey.services.principals import Principal, principal_of_user, system_principal
from pkakey.services.records import record
from pkakey.store.certificates.models import Certificate, Intent
from pkakey.store.context import acting_as
from pkakey.store.profiles.models import Profile
from pkakey.store.reading import rows
from pkakey.store.requests.models import CertificateRequest
from pkakey.store.tokens.models import Token

_SETTLES_WITHIN: Final = timedelta(seconds=60)


class TooEarly(ServiceError):  # noqa: N818  # An answer, named by what it says.
    """The request is being recorded at this moment; the same may be asked again."""


def issue(
    outside: Outside, *, allowed: Allowed, request_id: UUID, sha256: str, now: datetime
) -> dict[str, Any]:
    """Issue what was approved; asked again, return the same certificate.

    Raises `NotFound`, `Conflict` for what is not exactly the approved request, `TooEarly`, the
    engine's `Refused`, `ServiceUnavailable`.
    """
    principal = flows_principal(allowed.namespace)
    row = _bound(principal, allowed, request_id, sha256, now)
    if row.state != ISSUED:
        if row.state not in OPEN:
            raise Conflict("request.not-waiting", f"This request is {row.state} already.")
        try:
            require_requester(principal, row)
            issued = issuance.issue_approved(
                outside,
                principal=in_requesters_name(principal, row),
                request=parse_csr(bytes(row.csr_der), compromised=outside.weak_keys),
                profile=row.profile,
                authority_id=row.authority_id,
                now=now,
                source=row.source,
                idempotency=IdempotencyKey(key=str(row.id), request_sha256=bytes.fromhex(sha256)),
                expect=lambda intended: require_same(row, intended),
            )
        except (Refused, Conflict, NotFound, NotPermitted, Unauthenticated) as error:
            close(principal, row, allowed, now, state=FAILED, reason=reason_of(error))
            raise
        close(principal, row, allowed, now, state=ISSUED, certificate_id=issued.id)
    with acting_as(principal):
        row = CertificateRequest.objects.select_related("certificate").get(pk=row.pk)
    assert row.certificate is not None  # noqa: S101  # So it was closed.
    return {"request": str(row.id), "certificate": row.certificate.serial_number}


def refuse(
    *, allowed: Allowed, request_id: UUID, sha256: str, reason: str, now: datetime
) -> dict[str, Any]:
    """Close the request without a certificate; asked again, change nothing."""
    principal = flows_principal(allowed.namespace)
    row = _bound(principal, allowed, request_id, sha256, now)
    if row.state != REFUSED:
        close(principal, row, allowed, now, state=REFUSED, reason=reason[:1000])
    return {"request": str(row.id), "state": REFUSED}


def revoke(
    outside: Outside, *, allowed: Allowed, serial_number: str, reason: str, now: datetime
) -> dict[str, Any]:
    """Revoke a certificate of the process's namespace; asked again, return the same.

    Raises `NotFound`, the engine's `Refused`, `Conflict`.
    """
    principal = flows_principal(allowed.namespace)
    try:
        revocation.revoke_certificate(
            outside, principal=principal, serial_number=serial_number, reason=reason, now=now
        )
    except Refused as refused:
        # Asked again, or somebody was first: it is revoked, as this process wants it.
        if refused.refusal is not Refusal.REVOCATION_ALREADY_REVOKED:
            raise
    else:
        with acting_as(principal):
            record(
                principal=principal, now=now, action="process.revoked", target=serial_number,
                details=told(allowed),
            )  # fmt: skip
    with acting_as(principal):
        found = Certificate.objects.filter(serial_number=serial_number, revoked_at__isnull=False)
        at = found.values_list("revoked_at", flat=True).order_by("-issued_at").first()
    return {"certificate": serial_number, "revoked_at": at.isoformat() if at else None}


def renew(
    outside: Outside, *, allowed: Allowed, serial_number: str, key: str, now: datetime
) -> dict[str, Any]:
    """Issue a certificate anew from its own request; `key` makes it happen once.

    Same key, subject and names. Raises `NotFound`, the engine's `Refused`, and `Conflict` for one
    that is revoked, that would come out otherwise, or whose profile needs another diagram.
    """
    principal = flows_principal(allowed.namespace)
    with acting_as(principal):
        found = Certificate.objects.filter(serial_number=serial_number, purpose="leaf")
        old = found.order_by("-issued_at").first()
        asked = Intent.objects.filter(pk=old.pk).first() if old else None
        profiles = Profile.objects.filter(name=old.profile if old else "", is_current=True)
        data = profiles.values_list("data", flat=True).first() or {}
    if old is None or asked is None or not asked.request_der:
        raise NotFound("certificate")
    if old.revoked_at is not None:
        raise Conflict("renewal.revoked", f"{serial_number} is revoked, and so is not renewed.")
    if data.get("approval", {}).get("diagram", allowed.diagram) != allowed.diagram:
        raise Conflict(
            "renewal.needs-approval",
            f"Profile {old.profile!r} needs another diagram, so that this process cannot renew.",
        )
    issued = issuance.issue_approved(
        outside,
        principal=replace(principal, id=f"process:{allowed.id}", name=old.requested_by),
        request=parse_csr(bytes(asked.request_der), compromised=outside.weak_keys),
        profile=old.profile,
        authority_id=old.authority_id,
        now=now,
        source=old.source,
        idempotency=IdempotencyKey(
            key=key, request_sha256=hashlib.sha256(f"renew {serial_number}".encode()).digest()
        ),
        expect=lambda intended: _require_like(old, intended),
    )
    if not issued.replayed:
        with acting_as(principal):
            record(
                principal=principal, now=now, action="process.renewed", target=serial_number,
                details={**told(allowed), "by": issued.serial_number},
            )  # fmt: skip
    return {"certificate": issued.serial_number, "replaces": serial_number}


def _require_like(old: Certificate, intended: IntendedCertificate) -> None:
    before = (old.subject, list(old.names), old.public_key_sha256)
    if before != (
        intended.subject, names_to_text(intended.names), intended.public_key_sha256,
    ):  # fmt: skip
        raise Conflict(
            "renewal.changed",
            "The profile has changed since, so that another certificate would come of it.",
        )


def flows_principal(namespace: str) -> Principal:
    """Return who acts for a process of this namespace; raises `NotFound`."""
    for namespace_id, slug in rows("SELECT id, slug FROM pki.namespaces()"):
        if slug == namespace:
            return system_principal(
                namespace_id=UUID(str(namespace_id)), namespace=slug, name="koolflows"
            )
    raise NotFound("namespace")


def _bound(
    principal: Principal, allowed: Allowed, request_id: UUID, sha256: str, now: datetime
) -> CertificateRequest:
    """Return the request when this process, and this hash, are the ones that belong to it."""
    with acting_as(principal):
        row = CertificateRequest.objects.filter(pk=request_id).first()
    if row is None:
        raise NotFound("request")
    stored = requests.digest(requests.facts_of(row, principal.namespace))
    if sha256 != row.sha256 or stored != row.sha256:
        raise Conflict(
            "request.changed",
            "What was approved is not what this request asks for. A changed request needs an "
            "approval of its own.",
        )
    if allowed.diagram != row.diagram:
        raise Conflict(
            "request.other-diagram",
            f"This request needs the process {row.diagram!r}, not {allowed.diagram[:100]!r}.",
        )
    if row.state == requests.NOT_STARTED:
        raise Conflict(
            "request.not-started",
            "The requester was told that this request could not be begun, and asks anew. Nothing "
            "is issued for it.",
        )
    if row.process_id is None and row.state == requests.RECORDED:
        if now < row.created_at + _SETTLES_WITHIN:
            raise TooEarly("The request is being recorded at this moment.")
        # PKaKey died between KoolFlows' answer and its own record of it.
        with acting_as(principal):
            CertificateRequest.objects.filter(pk=row.pk, process_id=None).update(
                process_id=allowed.id
            )
            row.refresh_from_db()
    if row.process_id != allowed.id:
        raise Conflict("request.other-process", "Another process decides about this request.")
    return row


def require_requester(principal: Principal, row: CertificateRequest) -> None:
    """Refuse for a person who left, or a token that was revoked; one that ended was good then."""
    if row.requester_kind == "user" and row.requester_id.isdigit():
        try:
            principal_of_user(user_id=int(row.requester_id), namespace_id=principal.namespace_id)
        except NotPermitted:
            raise _gone(row) from None
    if row.requester_kind == "token":
        with acting_as(principal):
            holds = Token.objects.filter(pk=row.requester_id, revoked_at=None).exists()
        if not holds:
            raise _gone(row)


def _gone(row: CertificateRequest) -> Conflict:
    return Conflict(
        "request.requester-gone",
        f"{row.requester_name} asked for this and may not any more. Somebody else asks anew.",
    )
