"""Finish what an intent names: sign its recorded bytes (again), store, and do what follows."""

import hashlib
import logging
from datetime import datetime
from uuid import UUID, uuid4

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkakey_engine.issuance import Issuer, complete_certificate_from_parts
from pkakey_engine.revocation import complete_crl_from_parts, issuer_hashes
from pkakey_signers.errors import SignerRefused, SignerUnavailable

from pkakey.services.errors import ServiceUnavailable
from pkakey.services.intents import store_certificate
from pkakey.services.issuing_authority import forget
from pkakey.services.outside import Outside
from pkakey.services.principals import Principal, system_principal
from pkakey.services.records import Told, record
from pkakey.store import direct
from pkakey.store.authorities.models import Authority, OCSPResponder
from pkakey.store.certificates.models import Certificate, Intent
from pkakey.store.context import acting_as

logger = logging.getLogger(__name__)

_STORE_CRL = (
    "SELECT pki.store_crl(%s::uuid, %s::uuid, %s::bytea, %s::bigint, %s::timestamptz, %s::uuid)"
)
_ABANDON = "SELECT pki.abandon_intent(%s::uuid, %s::uuid, %s::text, %s::timestamptz)"


def finish_intent(
    outside: Outside, *, intent_id: UUID, namespace_id: UUID, namespace: str, now: datetime
) -> bool:
    """Finish an open intent, or give it up when the signer refuses it for good.

    The signer gives the signature it has logged, if it has signed before; so a refusal proves that
    it never signed. Returns whether it was finished. Raises `ServiceUnavailable("signer")`.
    """
    principal = system_principal(namespace_id=namespace_id, namespace=namespace, name="reconciler")
    with acting_as(principal):
        intent = Intent.objects.filter(id=intent_id, state="open").first()
    if intent is None:
        return True
    tbs = bytes(intent.tbs)
    try:
        public_key = load_der_public_key(outside.signer.public_key(key_id=intent.authority_key_id))
        signature = outside.signer.sign(
            kind=intent.kind,
            key_id=intent.authority_key_id,
            intent_id=intent.id,
            to_be_signed=tbs,
        )
    except SignerUnavailable as error:
        raise ServiceUnavailable("signer", error.detail) from error
    except SignerRefused as error:
        if error.transient:
            raise ServiceUnavailable("signer", error.detail) from error
        logger.warning("Intent %s is given up: %s", intent_id, error)
        direct.call(_ABANDON, (namespace_id, intent_id, str(error), now))
        return False
    if intent.kind == "crl":
        crl_der = complete_crl_from_parts(tbs, signature, public_key)  # type: ignore[arg-type]
        store_crl(namespace_id, intent.id, crl_der, now)
        return True
    certificate_der = complete_certificate_from_parts(
        tbs,
        signature,
        public_key,  # type: ignore[arg-type]  # The signer holds no other kinds of key.
    )
    store_certificate(
        namespace_id=namespace_id, intent_id=intent.id, certificate_der=certificate_der, now=now
    )
    follow(outside, principal=principal, certificate_id=intent.id, now=now)
    return True


def store_crl(namespace_id: UUID, intent_id: UUID, crl_der: bytes, now: datetime) -> None:
    """Step 4 for a CRL: the list, its audit entry and its event in one commit."""
    count = len(x509.load_der_x509_crl(crl_der))
    direct.call(_STORE_CRL, (namespace_id, intent_id, crl_der, count, now, uuid4()))


def follow(outside: Outside, *, principal: Principal, certificate_id: UUID, now: datetime) -> None:
    """Put the platform's own new certificate to use; for others there is nothing to do.

    Doing it twice changes nothing.
    """
    with acting_as(principal):
        certificate = Certificate.objects.get(id=certificate_id)
        beneficiary_id = Intent.objects.values_list("beneficiary_id", flat=True).get(
            id=certificate_id
        )
    if beneficiary_id is None:
        return
    if certificate.purpose == "authority":
        activate_authority(
            outside,
            principal=principal,
            authority_id=beneficiary_id,
            certificate=certificate,
            now=now,
        )
    elif certificate.purpose == "ocsp-responder":
        outside.signer.activate_authority(
            key_id=beneficiary_id, certificate_der=bytes(certificate.der)
        )
        with acting_as(principal):
            OCSPResponder.objects.get_or_create(
                key_id=beneficiary_id,
                defaults={
                    "namespace_id": principal.namespace_id,
                    "authority_id": certificate.authority_id,
                    "certificate_der": certificate.der,
                    "not_before": certificate.not_before,
                    "not_after": certificate.not_after,
                },
            )


def activate_authority(
    outside: Outside,
    *,
    principal: Principal,
    authority_id: UUID,
    certificate: Certificate,
    now: datetime,
) -> None:
    """Tell the signer the authority's certificate, then let the authority issue."""
    certificate_der = bytes(certificate.der)
    with acting_as(principal):
        authority = Authority.objects.get(id=authority_id)
    outside.signer.activate_authority(key_id=authority.key_id, certificate_der=certificate_der)
    issuer = Issuer.from_certificate_der(certificate_der)
    name_sha1, key_sha1 = issuer_hashes(issuer, "sha1")
    name_sha256, key_sha256 = issuer_hashes(issuer, "sha256")
    with acting_as(principal):
        changed = Authority.objects.filter(id=authority_id, state=Authority.PREPARING).update(
            state=Authority.ACTIVE,
            version=authority.version + 1,
            subject=certificate.subject,
            certificate_der=certificate_der,
            serial_number=certificate.serial_number,
            not_before=certificate.not_before,
            not_after=certificate.not_after,
            name_sha1=name_sha1,
            key_sha1=key_sha1,
            name_sha256=name_sha256,
            key_sha256=key_sha256,
        )
        if changed:
            record(
                principal=principal,
                now=now,
                action="authority.created",
                target=str(authority_id),
                details={"name": authority.name, "subject": certificate.subject},
                told=Told(
                    type="authority.created",
                    payload={
                        "authority_id": str(authority_id),
                        "parent_id": str(authority.parent_id) if authority.parent_id else None,
                        "serial_number": certificate.serial_number,
                        "subject": certificate.subject,
                        "not_before": certificate.not_before.isoformat(),
                        "not_after": certificate.not_after.isoformat(),
                        "certificate_sha256": hashlib.sha256(certificate_der).hexdigest(),
                    },
                ),
            )
    forget()
