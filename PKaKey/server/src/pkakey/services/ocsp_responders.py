"""Delegated OCSP responders (RFC 6960 section 4.2.2.2): a key and certificate per authority."""

import logging
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkakey_engine.errors import Refused
from pkakey_engine.issuance import authority_subject, intend_ocsp_responder
from pkakey_signers.errors import SignerRefused, SignerUnavailable

from pkakey.services.errors import ServiceError, ServiceUnavailable
from pkakey.services.finishing import follow
from pkakey.services.intents import Purpose, record_intent, sign_certificate, store_certificate
from pkakey.services.issuing_authority import current_profile, issuing_authority
from pkakey.services.namespace_walk import each_namespace
from pkakey.services.outside import Outside
from pkakey.services.principals import Principal
from pkakey.store.authorities.models import Authority, OCSPResponder
from pkakey.store.context import acting_as

logger = logging.getLogger(__name__)

PROFILE = "ocsp-signer"
ALGORITHM = "ecdsa-p256"
_MAX_NAME = 59


def ensure_responder(
    outside: Outside, *, principal: Principal, authority_id: UUID, now: datetime
) -> bool:
    """Give the authority a new responder unless the present one is in its first two thirds.

    Returns whether there is a new one. Raises `ServiceUnavailable` and `Refused`.
    """
    with acting_as(principal):
        present = (
            OCSPResponder.objects.filter(authority_id=authority_id).order_by("-not_before").first()
        )
    if present is not None:
        life: timedelta = present.not_after - present.not_before
        if now < present.not_before + life * 2 / 3:
            return False
    authority = issuing_authority(outside, principal, authority_id)
    key_id = uuid4()
    try:
        spki = outside.signer.generate_key(
            key_id=key_id, algorithm=ALGORITHM, purpose="ocsp-responder"
        )
    except (SignerUnavailable, SignerRefused) as error:
        raise ServiceUnavailable("signer", error.detail) from error
    intended = intend_ocsp_responder(
        subject=authority_subject(f"{authority.name[:_MAX_NAME]} OCSP"),
        public_key=load_der_public_key(spki),  # type: ignore[arg-type]  # The signer's own kinds.
        profile=current_profile(principal, PROFILE),
        issuer=authority.issuer,
        now=now,
    )
    recorded = record_intent(
        principal=principal,
        intended=intended,
        authority_id=authority.id,
        authority_version=authority.version,
        now=now,
        source="responder",
        purpose=Purpose(name="ocsp-responder", beneficiary_id=key_id),
    )
    certificate_der = sign_certificate(
        outside, intended=intended, intent_id=recorded.intent_id, key_id=authority.key_id
    )
    store_certificate(
        namespace_id=principal.namespace_id,
        intent_id=recorded.intent_id,
        certificate_der=certificate_der,
        now=now,
    )
    follow(outside, principal=principal, certificate_id=recorded.intent_id, now=now)
    return True


def renew_ocsp_responders(outside: Outside, *, now: datetime) -> int:
    """Look at each active authority; return how many got a new responder."""
    renewed = 0
    for principal in each_namespace("responders"):
        with acting_as(principal):
            own = list(
                Authority.objects.filter(
                    namespace_id=principal.namespace_id,
                    state=Authority.ACTIVE,
                    not_after__gt=now,
                ).values_list("id", flat=True)
            )
        for authority_id in own:
            try:
                renewed += ensure_responder(
                    outside, principal=principal, authority_id=authority_id, now=now
                )
            except (ServiceError, Refused):
                # One authority's trouble must not keep the others from their turn.
                logger.exception("The responder of authority %s was not renewed.", authority_id)
    return renewed
