"""Write OCSP responses (RFC 6960 section 4.2), for one or several certificates."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from pkakey_engine import der
from pkakey_engine.errors import Refusal, Refused, SignedBytesDiffer
from pkakey_engine.issuance.issuer import Issuer, subject_public_key_bits
from pkakey_engine.keys import (
    PublicKey,
    SignatureAlgorithm,
    signature_algorithm,
    signature_is_valid,
)
from pkakey_engine.revocation.ocsp_request import CertID
from pkakey_engine.revocation.reasons import RevocationReason

__all__ = [
    "CertificateStatus",
    "IntendedOCSPResponse",
    "OCSPAnswer",
    "OCSPError",
    "Responder",
    "complete_ocsp_response",
    "intend_ocsp_response",
    "ocsp_error",
]

_BASIC_RESPONSE_OID = bytes.fromhex("06092b0601050507300101")
_NONCE_OID = bytes.fromhex("06092b0601050507300102")
_SUCCESSFUL = der.enumerated(0)
_GOOD = b"\x80\x00"
_UNKNOWN = b"\x82\x00"
_CONSTRUCTED_REVOKED = 0xA1


class CertificateStatus(StrEnum):
    """CertStatus (RFC 6960 section 2.2). ``unknown`` is for serials that were never issued."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


class OCSPError(Enum):
    """OCSPResponseStatus values (RFC 6960 section 4.2.1) that carry no response."""

    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    SIG_REQUIRED = 5
    UNAUTHORIZED = 6


def ocsp_error(kind: OCSPError) -> bytes:
    """Return the unsigned OCSPResponse in DER that tells the error."""
    return der.sequence(der.enumerated(kind.value))


@dataclass(frozen=True, slots=True)
class OCSPAnswer:
    """What is said about one certificate.

    ``revoked_at`` (aware) and ``reason`` count for the status revoked only.
    """

    certificate: CertID
    status: CertificateStatus
    revoked_at: datetime | None = None
    reason: RevocationReason = RevocationReason.UNSPECIFIED

    def encode(self, validity: bytes) -> bytes:
        """Return the SingleResponse; ``validity`` is thisUpdate and nextUpdate, encoded."""
        if self.status is CertificateStatus.GOOD:
            status = _GOOD
        elif self.status is CertificateStatus.UNKNOWN:
            status = _UNKNOWN
        elif self.revoked_at is None:
            raise ValueError("A revoked certificate needs the time of its revocation.")
        else:
            reason = b""
            if self.reason is not RevocationReason.UNSPECIFIED:
                reason = der.explicit(0, der.enumerated(self.reason.code))
            status = der.tlv(_CONSTRUCTED_REVOKED, der.generalized_time(self.revoked_at) + reason)
        return der.sequence(self.certificate.encoded, status, validity)


@dataclass(frozen=True)
class Responder:
    """Who signs the responses: a delegated responder's certificate, checked against its authority.

    Keep one per certificate: what it derives is computed once, by ``for_certificate``.
    """

    certificate: x509.Certificate
    public_key: PublicKey
    signature_algorithm: SignatureAlgorithm
    responder_id: bytes
    certificates_field: bytes

    @staticmethod
    @lru_cache(maxsize=256)
    def for_certificate(certificate: x509.Certificate, issuer: Issuer) -> "Responder":
        """Return the responder; raise ``Refused`` (ocsp.responder) unless it may answer.

        RFC 6960 section 4.2.2.2: it is the authority itself, or the authority issued it directly
        with the purpose OCSPSigning.
        """
        public_key = certificate.public_key()
        algorithm = signature_algorithm(public_key)  # type: ignore[arg-type]  # Refuses others.
        delegated = certificate != issuer.certificate
        if delegated:
            _check_delegation(certificate, issuer)
        # RFC 6960 section 4.2.1: KeyHash is SHA-1 over the key's bits, whatever the age.
        key_hash = hashlib.sha1(
            subject_public_key_bits(public_key),  # type: ignore[arg-type]  # As above.
            usedforsecurity=False,
        ).digest()
        encoded = certificate.public_bytes(serialization.Encoding.DER)
        return Responder(
            certificate=certificate,
            public_key=public_key,  # type: ignore[arg-type]  # As above.
            signature_algorithm=algorithm,
            responder_id=der.explicit(2, der.octet_string(key_hash)),
            certificates_field=der.explicit(0, der.sequence(encoded)) if delegated else b"",
        )


def _check_delegation(certificate: x509.Certificate, issuer: Issuer) -> None:
    if issuer.certificate is None:
        raise ValueError("A responder needs an issuer that has its certificate.")
    try:
        certificate.verify_directly_issued_by(issuer.certificate)
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except Exception as error:  # cryptography raises InvalidSignature, ValueError, TypeError.
        raise Refused(
            Refusal.OCSP_RESPONDER,
            "The responder's certificate is not the authority's own work, or has no purpose.",
        ) from error
    if ExtendedKeyUsageOID.OCSP_SIGNING not in usages:
        raise Refused(
            Refusal.OCSP_RESPONDER,
            "The responder's certificate has not the purpose OCSPSigning.",
        )


@dataclass(frozen=True, slots=True)
class IntendedOCSPResponse:
    """A response decided in every octet but its signature; ``tbs_response_data`` is ResponseData.

    ``next_update`` is when the answer goes stale; HTTP caching headers follow from it.
    """

    tbs_response_data: bytes
    responder: Responder
    produced_at: datetime
    next_update: datetime

    @property
    def to_be_signed(self) -> bytes:
        """The bytes for the signer: the same name on intended certificates, CRLs and responses."""
        return self.tbs_response_data


def intend_ocsp_response(
    *,
    answers: Sequence[OCSPAnswer],
    responder: Responder,
    now: datetime,
    next_update: datetime,
    nonce: bytes | None = None,
) -> IntendedOCSPResponse:
    """Return the response to be signed with the answers, in their order.

    ``now`` becomes producedAt and thisUpdate; ``nonce`` is the request's, repeated. Raises
    ``Refused`` (ocsp.responder) when the responder's certificate is not valid at ``now`` and
    ValueError for no answers or a window that ends before it begins.
    """
    produced_at = now.astimezone(UTC).replace(microsecond=0)
    next_update = next_update.astimezone(UTC).replace(microsecond=0)
    certificate = responder.certificate
    if not certificate.not_valid_before_utc <= produced_at <= certificate.not_valid_after_utc:
        raise Refused(
            Refusal.OCSP_RESPONDER, "The responder's certificate is not valid now; renew it."
        )
    # An answer must not outlive the certificate that proves it.
    next_update = min(next_update, certificate.not_valid_after_utc)
    if not answers or next_update <= produced_at:
        raise ValueError("A response needs an answer and a window that ends after it begins.")
    this_update_der = der.generalized_time(produced_at)
    validity = this_update_der + der.explicit(0, der.generalized_time(next_update))
    extensions = b""
    if nonce is not None:
        value = der.octet_string(der.octet_string(nonce))
        extensions = der.explicit(1, der.sequence(der.sequence(_NONCE_OID, value)))
    tbs = der.sequence(
        responder.responder_id,
        this_update_der,
        der.sequence(*[answer.encode(validity) for answer in answers]),
        extensions,
    )
    return IntendedOCSPResponse(tbs, responder, produced_at, next_update)


def complete_ocsp_response(intended: IntendedOCSPResponse, signature: bytes) -> bytes:
    """Return the OCSPResponse in DER; raise ``SignedBytesDiffer`` unless the signature fits."""
    responder = intended.responder
    if not signature_is_valid(responder.public_key, signature, intended.tbs_response_data):
        raise SignedBytesDiffer(
            "The signature is not the responder's over the intended ResponseData."
        )
    basic = der.sequence(
        intended.tbs_response_data,
        responder.signature_algorithm.identifier_der,
        der.bit_string(signature),
        responder.certificates_field,
    )
    response = der.sequence(_BASIC_RESPONSE_OID, der.octet_string(basic))
    return der.sequence(_SUCCESSFUL, der.explicit(0, response))
