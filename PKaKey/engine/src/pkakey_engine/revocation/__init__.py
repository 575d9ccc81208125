"""Revocation and status: reasons, CRLs, OCSP."""

from pkakey_engine.revocation.crl import (
    IntendedCRL,
    RevokedEntry,
    complete_crl,
    complete_crl_from_parts,
    intend_crl,
)
from pkakey_engine.revocation.ocsp_request import (
    MAX_OCSP_CERTIFICATES,
    MAX_OCSP_REQUEST_BYTES,
    CertID,
    OCSPRequest,
    issuer_hashes,
    parse_ocsp_request,
)
from pkakey_engine.revocation.ocsp_response import (
    CertificateStatus,
    IntendedOCSPResponse,
    OCSPAnswer,
    OCSPError,
    Responder,
    complete_ocsp_response,
    intend_ocsp_response,
    ocsp_error,
)
from pkakey_engine.revocation.reasons import (
    RevocationReason,
    check_revocation_reason,
    parse_revocation_reason,
)

__all__ = [
    "MAX_OCSP_CERTIFICATES",
    "MAX_OCSP_REQUEST_BYTES",
    "CertID",
    "CertificateStatus",
    "IntendedCRL",
    "IntendedOCSPResponse",
    "OCSPAnswer",
    "OCSPError",
    "OCSPRequest",
    "Responder",
    "RevocationReason",
    "RevokedEntry",
    "check_revocation_reason",
    "complete_crl",
    "complete_crl_from_parts",
    "complete_ocsp_response",
    "intend_crl",
    "intend_ocsp_response",
    "issuer_hashes",
    "ocsp_error",
    "parse_ocsp_request",
    "parse_revocation_reason",
]
