"""Every way in which the engine says no. It knows no HTTP; each front maps the whole list.

Exception
├── Refused            an answer for the requester: a stable code and a sentence
└── SignedBytesDiffer  an alarm for the operator: what was signed is not what was intended

The codes of ``Refusal`` are a contract: one may be added, none may change its meaning.
"""

from enum import StrEnum

__all__ = ["Refusal", "Refused", "SignedBytesDiffer"]


class Refusal(StrEnum):
    """Why a request is refused: the value is the stable code that fronts and logs show."""

    # The certificate signing request (RFC 2986).
    CSR_MALFORMED = "csr.malformed"
    CSR_TOO_LARGE = "csr.too-large"
    CSR_BAD_SIGNATURE = "csr.bad-signature"
    CSR_WEAK_SIGNATURE = "csr.weak-signature"

    # The public key.
    KEY_MALFORMED = "key.malformed"
    KEY_UNSUPPORTED_ALGORITHM = "key.unsupported-algorithm"
    KEY_NOT_PERMITTED = "key.not-permitted"
    KEY_TOO_SMALL = "key.too-small"
    KEY_TOO_LARGE = "key.too-large"
    KEY_BAD_EXPONENT = "key.bad-exponent"
    KEY_SMALL_FACTOR = "key.small-factor"
    KEY_CLOSE_PRIMES = "key.close-primes"
    KEY_ROCA = "key.roca"
    KEY_DEBIAN_WEAK = "key.debian-weak"
    KEY_KNOWN_COMPROMISED = "key.known-compromised"
    KEY_IS_ISSUERS = "key.is-issuers"

    # The names and the subject.
    NAME_MISSING = "name.missing"
    NAME_TOO_MANY = "name.too-many"
    NAME_NOT_PERMITTED = "name.not-permitted"
    NAME_MALFORMED_DNS = "name.malformed-dns"
    NAME_MALFORMED_IP = "name.malformed-ip"
    NAME_MALFORMED_EMAIL = "name.malformed-email"
    NAME_MALFORMED_URI = "name.malformed-uri"
    NAME_WILDCARD = "name.wildcard"
    NAME_OUTSIDE_CONSTRAINTS = "name.outside-constraints"
    SUBJECT_MALFORMED = "subject.malformed"

    # The profile and what it fixes.
    PROFILE_UNKNOWN = "profile.unknown"
    PROFILE_NOT_APPLICABLE = "profile.not-applicable"
    EXTENSION_NOT_PERMITTED = "extension.not-permitted"
    VALIDITY_TOO_LONG = "validity.too-long"
    VALIDITY_TOO_SHORT = "validity.too-short"
    VALIDITY_EXCEEDS_ISSUER = "validity.exceeds-issuer"

    # The issuer and the chain.
    ISSUER_NOT_A_CA = "issuer.not-a-ca"
    ISSUER_KEY_USAGE = "issuer.key-usage"
    ISSUER_EXPIRED = "issuer.expired"
    ISSUER_NOT_YET_VALID = "issuer.not-yet-valid"
    ISSUER_PATH_LENGTH = "issuer.path-length"
    CHAIN_BROKEN = "chain.broken"
    CHAIN_EXPIRED = "chain.expired"

    # The last look before a signature.
    LINT_FAILED = "lint.failed"

    # Revocation and status (RFC 5280 section 5, RFC 6960).
    REVOCATION_REASON_UNKNOWN = "revocation.reason-unknown"
    REVOCATION_REASON_NOT_ALLOWED = "revocation.reason-not-allowed"
    REVOCATION_ALREADY_REVOKED = "revocation.already-revoked"
    CRL_NUMBER = "crl.number"
    CRL_WINDOW = "crl.window"
    OCSP_MALFORMED = "ocsp.malformed"
    OCSP_TOO_LARGE = "ocsp.too-large"
    OCSP_TOO_MANY = "ocsp.too-many"
    OCSP_NONCE = "ocsp.nonce"
    OCSP_RESPONDER = "ocsp.responder"


class Refused(Exception):  # noqa: N818 - the domain's word: an answer, not a failure.
    """The request cannot be met.

    ``refusal`` is the stable code; ``detail`` is a sentence for the requester that says what came,
    what is allowed and what to do. Neither holds anything that the requester may not see.
    """

    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(refusal, detail)
        self.refusal = refusal
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.refusal.value}: {self.detail}"


class SignedBytesDiffer(Exception):  # noqa: N818 - an alarm with a name of its own.
    """The signature does not belong to the intended bytes under the issuer's key.

    Never the requester's fault: the signer or the way to it is broken or hostile. The caller keeps
    the intent open, raises an alarm and hands out nothing.
    """
