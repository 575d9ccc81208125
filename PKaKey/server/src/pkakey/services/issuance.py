"""Issue a certificate for a CSR: the path that every front takes (docs/flows/issuance.md)."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.issuance import (
    CertificateRequest,
    IntendedCertificate,
    Profile,
    ProfileKind,
    intend_certificate,
    parse_csr,
)

from pkakey.selectors.requests import summary
from pkakey.selectors.results import RequestItem
from pkakey.selectors.values import names_from_text, pem
from pkakey.services import requests
from pkakey.services.authority_suspension import require_not_suspended
from pkakey.services.closing import ISSUED, OPEN, close, in_requesters_name, require_same
from pkakey.services.errors import Conflict, ServiceUnavailable
from pkakey.services.finishing import finish_intent
from pkakey.services.grants import as_allowed, covering
from pkakey.services.intents import (
    IdempotencyKey,
    Purpose,
    Stale,
    record_intent,
    sign_certificate,
    store_certificate,
)
from pkakey.services.issuing_authority import (
    IssuingAuthority,
    current_profile,
    forget,
    issuing_authority,
)
from pkakey.services.measuring import counted_issuance
from pkakey.services.outside import Outside
from pkakey.services.principals import Principal, require
from pkakey.services.results import IssuedCertificate, Preview
from pkakey.store.certificates.models import Certificate, Intent
from pkakey.store.context import acting_as
from pkakey.store.profiles.models import Profile as StoredProfile
from pkakey.store.requests.models import Grant

_ATTEMPTS = 3


class _NeedsApprovalError(Exception):
    """The profile needs an approval; caught where the request came in."""

    def __init__(self, asked: requests.Asked) -> None:
        super().__init__()
        self.asked = asked


@counted_issuance
def issue_certificate(
    outside: Outside,
    *,
    principal: Principal,
    csr: bytes,
    profile: str,
    now: datetime,
    source: str,
    authority_id: UUID | None = None,
    idempotency_key: str | None = None,
) -> IssuedCertificate | RequestItem:
    """Issue a certificate; `services.Services.issue_certificate` tells the rest."""
    require(principal, "certificates:issue")
    request = parse_csr(csr, compromised=outside.weak_keys)
    idempotency = (
        IdempotencyKey(
            key=idempotency_key, request_sha256=_digest(request.csr_der, profile, authority_id)
        )
        if idempotency_key
        else None
    )
    try:
        return _issue(
            outside,
            principal=principal,
            request=request,
            profile=profile,
            authority_id=authority_id,
            now=now,
            source=source,
            idempotency=idempotency,
            expect=None,
        )
    except _NeedsApprovalError as needed:
        granted = covering(principal, needed.asked.intended, now)
        if granted is not None:
            return _issue_granted(
                outside, principal, needed.asked, granted, source, idempotency_key, now
            )
        received = requests.receive(
            outside,
            principal=principal,
            asked=needed.asked,
            source=source,
            idempotency_key=idempotency_key,
            now=now,
        )
    if received.serial_number is None:
        return received
    with acting_as(principal):
        intent_id = Certificate.objects.values_list("id", flat=True).get(
            serial_number=received.serial_number
        )
    return replay(outside, principal, intent_id, now)


def _issue_granted(
    outside: Outside,
    principal: Principal,
    asked: requests.Asked,
    granted: Grant,
    source: str,
    key: str | None,
    now: datetime,
) -> IssuedCertificate | RequestItem:
    """Issue within a grant: recorded and closed as a request, with the grant's own process."""
    asked = replace(asked, granted_by=granted.process_id, granted_diagram=granted.diagram)
    row = requests.recorded(principal, asked, source, key, now)
    if row.state not in OPEN or row.diagram != granted.diagram:
        # The same key came before: then that request tells where it stands.
        with acting_as(principal):
            certificate_id = row.certificate_id
            if certificate_id is None:
                return summary(row)
        return replay(outside, principal, certificate_id, now)
    issued = _issue(
        outside,
        principal=in_requesters_name(principal, row),
        request=asked.parsed,
        profile=row.profile,
        authority_id=row.authority_id,
        now=now,
        source=row.source,
        idempotency=IdempotencyKey(key=str(row.id), request_sha256=bytes.fromhex(row.sha256)),
        expect=lambda intended: require_same(row, intended),
    )
    close(
        principal, row, as_allowed(granted, principal.namespace), now,
        state=ISSUED, certificate_id=issued.id,
    )  # fmt: skip
    return issued


@counted_issuance
def issue_approved(
    outside: Outside,
    *,
    principal: Principal,
    request: CertificateRequest,
    profile: str,
    authority_id: UUID,
    now: datetime,
    source: str,
    idempotency: IdempotencyKey,
    expect: Callable[[IntendedCertificate], None],
) -> IssuedCertificate:
    """Issue what a process has allowed; `expect` raises for any other certificate."""
    return _issue(
        outside,
        principal=principal,
        request=request,
        profile=profile,
        authority_id=authority_id,
        now=now,
        source=source,
        idempotency=idempotency,
        expect=expect,
    )


def _issue(
    outside: Outside,
    *,
    principal: Principal,
    request: CertificateRequest,
    profile: str,
    authority_id: UUID | None,
    now: datetime,
    source: str,
    idempotency: IdempotencyKey | None,
    expect: Callable[[IntendedCertificate], None] | None,
) -> IssuedCertificate:
    for _ in range(_ATTEMPTS):
        authority = issuing_authority(outside, principal, authority_id)
        if authority.is_suspended:
            # What is remembered may be of before it was activated again.
            forget()
            authority = issuing_authority(outside, principal, authority_id)
            require_not_suspended(authority)
        rule = current_profile(principal, profile)
        intended = _intend(request, rule, authority, now)
        if expect is not None:
            # What is remembered may be of before a change: then it is read again, once.
            try:
                expect(intended)
            except Conflict:
                forget()
                rule = current_profile(principal, profile)
                authority = issuing_authority(outside, principal, authority_id)
                require_not_suspended(authority)
                intended = _intend(request, rule, authority, now)
                expect(intended)
        elif rule.approval is not None and principal.kind != "system":
            if not _is_current(principal, rule):
                forget()
                continue
            raise _NeedsApprovalError(
                requests.Asked(request, rule, intended, authority.id, authority.name)
            )
        try:
            recorded = record_intent(
                principal=principal,
                intended=intended,
                authority_id=authority.id,
                authority_version=authority.version,
                is_default=authority.is_default,
                now=now,
                source=source,
                purpose=Purpose(),
                request_der=request.csr_der,
                idempotency=idempotency,
            )
        except Stale:
            forget()
            continue
        if not recorded.is_new:
            return replay(outside, principal, recorded.intent_id, now)
        certificate_der = sign_certificate(
            outside, intended=intended, intent_id=recorded.intent_id, key_id=authority.key_id
        )
        store_certificate(
            namespace_id=principal.namespace_id,
            intent_id=recorded.intent_id,
            certificate_der=certificate_der,
            now=now,
        )
        return _issued(intended, authority, recorded.intent_id, certificate_der)
    raise ServiceUnavailable(
        "database", "The authority or the profile is being changed. Send the request again."
    )


def preview_certificate(
    outside: Outside,
    *,
    principal: Principal,
    csr: bytes,
    profile: str,
    now: datetime,
    authority_id: UUID | None = None,
) -> Preview:
    """Return what would be issued; `services.Services.preview_certificate` tells the rest."""
    require(principal, "certificates:issue")
    # What is remembered may be old, and nothing checks it here.
    forget()
    request = parse_csr(csr, compromised=outside.weak_keys)
    authority = issuing_authority(outside, principal, authority_id)
    require_not_suspended(authority)
    rule = current_profile(principal, profile)
    intended = _intend(request, rule, authority, now)
    return Preview(
        subject=intended.subject,
        names=intended.names,
        not_before=intended.not_before,
        not_after=intended.not_after,
        extensions=intended.describe(),
        key=request.key_description,
        profile=intended.profile_name,
        authority_id=authority.id,
        authority_name=authority.name,
        approval=None if covering(principal, intended, now) else rule.approval,
    )


def _intend(
    request: CertificateRequest, rule: Profile, authority: IssuingAuthority, now: datetime
) -> IntendedCertificate:
    _require_end_entity(rule)
    return intend_certificate(request=request, profile=rule, issuer=authority.issuer, now=now)


def _is_current(principal: Principal, rule: Profile) -> bool:
    with acting_as(principal):
        found = StoredProfile.objects.filter(
            name=rule.name, is_current=True, digest=rule.digest, version=rule.version
        )
        return found.exists()


def _require_end_entity(profile: Profile) -> None:
    # An OCSP responder's certificate may answer for the authority: only the platform gets one.
    if profile.kind is not ProfileKind.END_ENTITY:
        raise Refused(
            Refusal.PROFILE_NOT_APPLICABLE,
            f"Profile {profile.name!r} is for the platform's own parts, not for requests; use a "
            "profile such as 'tls-server'.",
        )


def _digest(csr_der: bytes, profile: str, authority_id: UUID | None) -> bytes:
    digest = hashlib.sha256(csr_der)
    digest.update(f"\x00{profile}\x00{authority_id}".encode("utf-8", "surrogatepass"))
    return digest.digest()


def _issued(
    intended: IntendedCertificate,
    authority: IssuingAuthority,
    intent_id: UUID,
    certificate_der: bytes,
) -> IssuedCertificate:
    return IssuedCertificate(
        id=intent_id,
        serial_number=intended.serial_hex,
        pem=pem(certificate_der),
        der=certificate_der,
        chain=list(authority.chain),
        not_before=intended.not_before,
        not_after=intended.not_after,
        subject=intended.subject,
        names=intended.names,
        profile=intended.profile_name,
        authority_id=authority.id,
    )


def replay(
    outside: Outside, principal: Principal, intent_id: UUID, now: datetime
) -> IssuedCertificate:
    """Return the certificate of an earlier request with the same key, finishing it if need be."""
    with acting_as(principal):
        is_open = Intent.objects.filter(id=intent_id, state="open").exists()
    if is_open:
        finish_intent(
            outside,
            intent_id=intent_id,
            namespace_id=principal.namespace_id,
            namespace=principal.namespace,
            now=now,
        )
    with acting_as(principal):
        row = Certificate.objects.filter(id=intent_id).first()
    if row is None:
        raise ServiceUnavailable(
            "signer", "The earlier request with this key was given up. Send it again."
        )
    authority = issuing_authority(outside, principal, row.authority_id)
    certificate_der = bytes(row.der)
    return IssuedCertificate(
        id=row.id,
        serial_number=row.serial_number,
        pem=pem(certificate_der),
        der=certificate_der,
        chain=list(authority.chain),
        not_before=row.not_before,
        not_after=row.not_after,
        subject=row.subject,
        names=names_from_text(row.names),
        profile=row.profile,
        authority_id=row.authority_id,
        replayed=True,
    )
