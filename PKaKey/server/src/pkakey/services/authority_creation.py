"""Create an authority: its key in the signer, its certificate, its responder, its first CRL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkakey_engine.issuance import authority_subject, intend_authority
from pkakey_engine.names import parse_subtree
from pkakey_signers.errors import SignerRefused, SignerUnavailable

from pkakey.selectors.values import pem
from pkakey.services.authority_suspension import require_not_suspended
from pkakey.services.crl_publishing import publish_crl
from pkakey.services.errors import Conflict, NotFound, ServiceUnavailable
from pkakey.services.finishing import finish_intent, follow
from pkakey.services.intents import Purpose, record_intent, sign_certificate, store_certificate
from pkakey.services.issuing_authority import (
    authority_path,
    current_profile,
    issuing_authority,
)
from pkakey.services.ocsp_responders import ensure_responder
from pkakey.services.outside import Outside
from pkakey.services.principals import Principal, require
from pkakey.services.results import CreatedAuthority
from pkakey.store.authorities.models import Authority
from pkakey.store.certificates.models import Certificate, Intent
from pkakey.store.context import acting_as


@dataclass(frozen=True, slots=True, kw_only=True)
class _Constraints:
    """The name constraints that an authority's certificate gets (RFC 5280 section 4.2.1.10)."""

    permitted: tuple[x509.GeneralName, ...]
    excluded: tuple[x509.GeneralName, ...]


def create_authority(
    outside: Outside,
    *,
    principal: Principal,
    common_name: str,
    organization: str,
    profile: str,
    parent_id: UUID | None,
    algorithm: str,
    now: datetime,
    permitted: Sequence[str] = (),
    excluded: Sequence[str] = (),
) -> CreatedAuthority:
    """Create an authority; `services.Services.create_authority` tells the rest."""
    require(principal, "authorities:manage")
    # Refusals first, before anything is written.
    authority_subject(common_name, organization)
    constraints = _Constraints(
        permitted=tuple(map(parse_subtree, permitted)),
        excluded=tuple(map(parse_subtree, excluded)),
    )
    current_profile(principal, profile)
    if parent_id is not None:
        parent = issuing_authority(outside, principal, parent_id)
        if parent.namespace_id != principal.namespace_id:
            raise NotFound("authority")
        require_not_suspended(parent)
    authority = _prepared(
        principal=principal,
        name=common_name,
        profile=profile,
        parent_id=parent_id,
        algorithm=algorithm,
        now=now,
    )
    if authority.state == Authority.ACTIVE:
        raise Conflict(
            "authority.exists",
            f"There is an authority named {common_name!r} in this namespace. Choose another name.",
        )
    _certify(outside, principal, authority, organization, constraints, now)
    ensure_responder(outside, principal=principal, authority_id=authority.id, now=now)
    publish_crl(outside, authority_id=authority.id, now=now)
    return _created(principal, authority.id)


def _prepared(
    *,
    principal: Principal,
    name: str,
    profile: str,
    parent_id: UUID | None,
    algorithm: str,
    now: datetime,
) -> Authority:
    """Return the row of this name, new or left half-made by an earlier call that died."""
    with acting_as(principal):
        authority, _ = Authority.objects.get_or_create(
            namespace_id=principal.namespace_id,
            name=name,
            defaults={
                "parent_id": parent_id,
                "profile": profile,
                "key_id": uuid4(),
                "algorithm": algorithm,
                "created_at": now,
            },
        )
    return authority


def _certify(
    outside: Outside,
    principal: Principal,
    authority: Authority,
    organization: str,
    constraints: _Constraints,
    now: datetime,
) -> None:
    with acting_as(principal):
        intent = (
            Intent.objects.filter(purpose="authority", beneficiary_id=authority.id)
            .exclude(state="abandoned")
            .first()
        )
    if intent is not None:
        # An earlier call died on the way: finish what it began.
        finish_intent(
            outside,
            intent_id=intent.id,
            namespace_id=principal.namespace_id,
            namespace=principal.namespace,
            now=now,
        )
        follow(outside, principal=principal, certificate_id=intent.id, now=now)
        return
    try:
        spki = outside.signer.generate_key(
            key_id=authority.key_id, algorithm=authority.algorithm, purpose="authority"
        )
    except (SignerUnavailable, SignerRefused) as error:
        raise ServiceUnavailable("signer", error.detail) from error
    parent = (
        issuing_authority(outside, principal, authority.parent_id) if authority.parent_id else None
    )
    intended = intend_authority(
        subject=authority_subject(authority.name, organization),
        public_key=load_der_public_key(spki),  # type: ignore[arg-type]  # The signer's own kinds.
        profile=current_profile(principal, authority.profile),
        issuer=parent.issuer if parent else None,
        now=now,
        permitted=constraints.permitted,
        excluded=constraints.excluded,
    )
    recorded = record_intent(
        principal=principal,
        intended=intended,
        authority_id=parent.id if parent else authority.id,
        authority_version=parent.version if parent else authority.version,
        now=now,
        source="authority",
        purpose=Purpose(name="authority", beneficiary_id=authority.id),
    )
    certificate_der = sign_certificate(
        outside,
        intended=intended,
        intent_id=recorded.intent_id,
        key_id=parent.key_id if parent else authority.key_id,
    )
    store_certificate(
        namespace_id=principal.namespace_id,
        intent_id=recorded.intent_id,
        certificate_der=certificate_der,
        now=now,
    )
    follow(outside, principal=principal, certificate_id=recorded.intent_id, now=now)


def _created(principal: Principal, authority_id: UUID) -> CreatedAuthority:
    with acting_as(principal):
        path = authority_path(authority_id)
        certificate = Certificate.objects.get(
            purpose="authority", serial_number=path[0].serial_number
        )
    own = path[0]
    return CreatedAuthority(
        id=own.id,
        name=own.name,
        parent_id=own.parent_id,
        subject=own.subject,
        serial_number=certificate.serial_number,
        pem=pem(bytes(certificate.der)),
        chain=[pem(bytes(each.certificate_der or b"")) for each in path[1:]],
        not_before=certificate.not_before,
        not_after=certificate.not_after,
    )
