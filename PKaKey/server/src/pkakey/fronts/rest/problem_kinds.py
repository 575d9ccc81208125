"""The one map from a problem's code to its HTTP status and title."""

from http import HTTPStatus
from types import MappingProxyType
from typing import Final, NamedTuple

from pkakey_engine.errors import Refusal
from theddt_identity.errors import REASONS


class ProblemKind(NamedTuple):
    """What all problems with one code share."""

    status: HTTPStatus
    title: str


_MALFORMED: Final = HTTPStatus.BAD_REQUEST
_TOO_LARGE: Final = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
# The request was understood, and the rules of the CA forbid it.
_REFUSED: Final = HTTPStatus.UNPROCESSABLE_ENTITY
# The request would be right if the authority or certificate were in another state.
_STATE: Final = HTTPStatus.CONFLICT
_UNAUTHENTICATED: Final = HTTPStatus.UNAUTHORIZED
_FORBIDDEN: Final = HTTPStatus.FORBIDDEN

REFUSALS: Final[tuple[tuple[Refusal, ProblemKind], ...]] = (
    (Refusal.CSR_MALFORMED, ProblemKind(_MALFORMED, "Malformed certificate request")),
    (Refusal.CSR_TOO_LARGE, ProblemKind(_TOO_LARGE, "Certificate request too large")),
    (Refusal.CSR_BAD_SIGNATURE, ProblemKind(_REFUSED, "No proof of possession of the key")),
    (Refusal.CSR_WEAK_SIGNATURE, ProblemKind(_REFUSED, "Weak signature on the request")),
    (Refusal.KEY_MALFORMED, ProblemKind(_REFUSED, "Malformed public key")),
    (Refusal.KEY_UNSUPPORTED_ALGORITHM, ProblemKind(_REFUSED, "Unsupported key algorithm")),
    (Refusal.KEY_NOT_PERMITTED, ProblemKind(_REFUSED, "Key not permitted by the profile")),
    (Refusal.KEY_TOO_SMALL, ProblemKind(_REFUSED, "Key too small")),
    (Refusal.KEY_TOO_LARGE, ProblemKind(_REFUSED, "Key too large")),
    (Refusal.KEY_BAD_EXPONENT, ProblemKind(_REFUSED, "Unsafe RSA exponent")),
    (Refusal.KEY_SMALL_FACTOR, ProblemKind(_REFUSED, "RSA modulus with a small factor")),
    (Refusal.KEY_CLOSE_PRIMES, ProblemKind(_REFUSED, "RSA key with close primes")),
    (Refusal.KEY_ROCA, ProblemKind(_REFUSED, "Key weak by ROCA")),
    (Refusal.KEY_DEBIAN_WEAK, ProblemKind(_REFUSED, "Debian weak key")),
    (Refusal.KEY_KNOWN_COMPROMISED, ProblemKind(_REFUSED, "Key known to be compromised")),
    (Refusal.KEY_IS_ISSUERS, ProblemKind(_REFUSED, "Key of the issuer itself")),
    (Refusal.NAME_MISSING, ProblemKind(_REFUSED, "No name requested")),
    (Refusal.NAME_TOO_MANY, ProblemKind(_REFUSED, "Too many names")),
    (Refusal.NAME_NOT_PERMITTED, ProblemKind(_REFUSED, "Kind of name not permitted")),
    (Refusal.NAME_MALFORMED_DNS, ProblemKind(_REFUSED, "Malformed DNS name")),
    (Refusal.NAME_MALFORMED_IP, ProblemKind(_REFUSED, "Malformed IP address")),
    (Refusal.NAME_MALFORMED_EMAIL, ProblemKind(_REFUSED, "Malformed e-mail address")),
    (Refusal.NAME_MALFORMED_URI, ProblemKind(_REFUSED, "Malformed URI")),
    (Refusal.NAME_WILDCARD, ProblemKind(_REFUSED, "Wildcard not permitted")),
    (Refusal.NAME_OUTSIDE_CONSTRAINTS, ProblemKind(_REFUSED, "Name outside the constraints")),
    (Refusal.SUBJECT_MALFORMED, ProblemKind(_REFUSED, "Malformed subject")),
    (Refusal.PROFILE_UNKNOWN, ProblemKind(_REFUSED, "Unknown profile")),
    (Refusal.PROFILE_NOT_APPLICABLE, ProblemKind(_REFUSED, "Profile not applicable")),
    (Refusal.EXTENSION_NOT_PERMITTED, ProblemKind(_REFUSED, "Extension not permitted")),
    (Refusal.VALIDITY_TOO_LONG, ProblemKind(_REFUSED, "Validity too long")),
    (Refusal.VALIDITY_TOO_SHORT, ProblemKind(_REFUSED, "Validity too short")),
    (Refusal.VALIDITY_EXCEEDS_ISSUER, ProblemKind(_REFUSED, "Validity exceeds the issuer's")),
    (Refusal.ISSUER_NOT_A_CA, ProblemKind(_STATE, "Issuer is not a CA")),
    (Refusal.ISSUER_KEY_USAGE, ProblemKind(_STATE, "Issuer may not sign this")),
    (Refusal.ISSUER_EXPIRED, ProblemKind(_STATE, "Issuer has expired")),
    (Refusal.ISSUER_NOT_YET_VALID, ProblemKind(_STATE, "Issuer is not yet valid")),
    (Refusal.ISSUER_PATH_LENGTH, ProblemKind(_STATE, "Issuer's path length is exhausted")),
    (Refusal.CHAIN_BROKEN, ProblemKind(_STATE, "Broken chain")),
    (Refusal.CHAIN_EXPIRED, ProblemKind(_STATE, "Expired chain")),
    (Refusal.LINT_FAILED, ProblemKind(_REFUSED, "Certificate would break a rule")),
    (Refusal.REVOCATION_REASON_UNKNOWN, ProblemKind(_REFUSED, "Unknown revocation reason")),
    (Refusal.REVOCATION_REASON_NOT_ALLOWED, ProblemKind(_REFUSED, "Reason not allowed")),
    (Refusal.REVOCATION_ALREADY_REVOKED, ProblemKind(_STATE, "Already revoked")),
    (Refusal.CRL_NUMBER, ProblemKind(_STATE, "CRL number not increasing")),
    (Refusal.CRL_WINDOW, ProblemKind(_STATE, "CRL window not permitted")),
    (Refusal.OCSP_MALFORMED, ProblemKind(_MALFORMED, "Malformed OCSP request")),
    (Refusal.OCSP_TOO_LARGE, ProblemKind(_TOO_LARGE, "OCSP request too large")),
    (Refusal.OCSP_TOO_MANY, ProblemKind(_REFUSED, "Too many single OCSP requests")),
    (Refusal.OCSP_NONCE, ProblemKind(_MALFORMED, "OCSP nonce of a wrong length")),
    (Refusal.OCSP_RESPONDER, ProblemKind(_STATE, "OCSP responder not fit")),
)

# What the front itself and the services say.
OTHERS: Final[tuple[tuple[str, ProblemKind], ...]] = (
    ("request.invalid", ProblemKind(_MALFORMED, "Fields that cannot be read")),
    ("request.refused", ProblemKind(_MALFORMED, "Request refused")),
    ("body.not-utf8", ProblemKind(_MALFORMED, "Body is not UTF-8")),
    ("body.not-json", ProblemKind(_MALFORMED, "Body is not JSON")),
    ("body.not-an-object", ProblemKind(_MALFORMED, "Body is not a JSON object")),
    ("body.unreadable", ProblemKind(_MALFORMED, "Body cannot be read")),
    ("body.too-large", ProblemKind(_TOO_LARGE, "Body too large")),
    ("body.media-type", ProblemKind(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Unknown media type")),
    ("idempotency.key-malformed", ProblemKind(_MALFORMED, "Malformed Idempotency-Key")),
    # draft-ietf-httpapi-idempotency-key-header section 2.7: the key came with another request.
    ("idempotency.key-reused", ProblemKind(_REFUSED, "Idempotency-Key of another request")),
    ("token.name", ProblemKind(_REFUSED, "Token's name not permitted")),
    ("token.scope", ProblemKind(_REFUSED, "Token's scopes not permitted")),
    ("token.expiry", ProblemKind(_REFUSED, "Token's end not permitted")),
    ("approval.not-started", ProblemKind(_STATE, "Approval could not be started")),
    ("grant.reason", ProblemKind(_REFUSED, "Reason missing")),
    ("grant.withdrawn", ProblemKind(_STATE, "Grant withdrawn already")),
    ("authority.suspended", ProblemKind(_STATE, "Authority suspended")),
    ("authority.exists", ProblemKind(_STATE, "Authority exists already")),
    ("revocation.self-signed", ProblemKind(_STATE, "Root certificate cannot be revoked")),
    ("cursor.malformed", ProblemKind(_MALFORMED, "Malformed cursor")),
    ("token.missing", ProblemKind(_UNAUTHENTICATED, "Token missing")),
    ("token.malformed", ProblemKind(_UNAUTHENTICATED, "Malformed token")),
    ("token.unknown", ProblemKind(_UNAUTHENTICATED, "Unknown token")),
    ("token.expired", ProblemKind(_UNAUTHENTICATED, "Expired token")),
    ("token.revoked", ProblemKind(_UNAUTHENTICATED, "Revoked token")),
    ("namespace.unknown", ProblemKind(_FORBIDDEN, "Namespace not known")),
    ("session.csrf", ProblemKind(_FORBIDDEN, "CSRF token missing or wrong")),
    ("password.must-change", ProblemKind(_FORBIDDEN, "Password must be changed first")),
    ("permission.denied", ProblemKind(_FORBIDDEN, "Not permitted")),
    ("path.not-found", ProblemKind(HTTPStatus.NOT_FOUND, "Nothing at this address")),
    ("resource.not-found", ProblemKind(HTTPStatus.NOT_FOUND, "No such resource")),
    ("method.not-allowed", ProblemKind(HTTPStatus.METHOD_NOT_ALLOWED, "Method not allowed")),
    ("rate.exceeded", ProblemKind(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests")),
    ("internal", ProblemKind(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error")),
    ("service.unavailable", ProblemKind(HTTPStatus.SERVICE_UNAVAILABLE, "Part unavailable")),
)

# What is wrong with a signed token (JWT); `theddt_identity` has the sentences.
_JWT_TITLES: Final = {
    "jwt.too-large": "Signed token too long",
    "jwt.malformed": "Signed token malformed",
    "jwt.header": "Signed token's header not allowed",
    "jwt.algorithm": "Signed token's algorithm not allowed",
    "jwt.type": "Not an access token",
    "jwt.issuer": "Signed token's issuer not trusted",
    "jwt.key": "Signed token's key not known",
    "jwt.signature": "Signed token's signature wrong",
    "jwt.audience": "Signed token for another service",
    "jwt.expired": "Signed token expired",
    "jwt.not-yet-valid": "Signed token not yet valid",
    "jwt.claims": "Signed token's claims not accepted",
    "jwt.bound": "Signed token bound to a key",
}
JWT_PROBLEMS: Final = tuple(
    (code, ProblemKind(_UNAUTHENTICATED, _JWT_TITLES[code])) for code in REASONS
)

# A code that occurred twice would silently take the later kind here; a test refuses that.
PROBLEMS: Final = MappingProxyType(
    {**{refusal.value: kind for refusal, kind in REFUSALS}, **dict(OTHERS), **dict(JWT_PROBLEMS)}
)
