"""What may be asked of the signer, and how large each question may be."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from pkakey_signers.errors import SignerRefusal, SignerRefused

Choice = TypeVar("Choice", bound=StrEnum)


class Operation(StrEnum):
    """The questions."""

    GENERATE_KEY = "generate-key"
    PUBLIC_KEY = "public-key"
    ACTIVATE_AUTHORITY = "activate-authority"
    SIGN = "sign"
    HEALTH = "health"
    METRICS = "metrics"


class Kind(StrEnum):
    """What is signed."""

    CERTIFICATE = "certificate"
    CRL = "crl"
    OCSP_RESPONSE = "ocsp-response"


class Purpose(StrEnum):
    """What a key is for; fixed when it is made."""

    AUTHORITY = "authority"
    OCSP_RESPONDER = "ocsp-responder"


KINDS_OF_PURPOSE: Mapping[Purpose, frozenset[Kind]] = {
    Purpose.AUTHORITY: frozenset({Kind.CERTIFICATE, Kind.CRL}),
    Purpose.OCSP_RESPONDER: frozenset({Kind.OCSP_RESPONSE}),
}

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""The platform's form of X-Request-ID."""

MAX_CERTIFICATE_BYTES = 64 * 1024
MAX_CRL_BYTES = 32 * 1024 * 1024
MAX_OCSP_RESPONSE_BYTES = 16 * 1024

_SIGN_LIMITS = {
    Kind.CERTIFICATE: MAX_CERTIFICATE_BYTES,
    Kind.CRL: MAX_CRL_BYTES,
    Kind.OCSP_RESPONSE: MAX_OCSP_RESPONSE_BYTES,
}


def attachment_limit(header: Mapping[str, Any]) -> int:
    """Return how many octets may follow this request header; an unknown one may bring none."""
    operation = header.get("op")
    if operation == Operation.SIGN:
        return next((n for kind, n in _SIGN_LIMITS.items() if kind == header.get("kind")), 0)
    if operation == Operation.ACTIVATE_AUTHORITY:
        return MAX_CERTIFICATE_BYTES
    return 0


def read_uuid(header: Mapping[str, Any], name: str) -> UUID:
    """Return the header's UUID of this name; raises ``SignerRefused`` when it is none."""
    try:
        return UUID(str(header.get(name)))
    except ValueError:
        raise SignerRefused(
            SignerRefusal.REQUEST_MALFORMED, f"The request's {name} is no UUID."
        ) from None


def read_request_id(header: Mapping[str, Any]) -> str:
    """Return the id of the request that this question serves, or "" when none came.

    It goes into the log, so any other text is refused (``SignerRefused``).
    """
    request_id = header.get("request_id", "")
    if request_id == "" or (isinstance(request_id, str) and REQUEST_ID.fullmatch(request_id)):
        return str(request_id)
    raise SignerRefused(
        SignerRefusal.REQUEST_MALFORMED,
        "The request's request_id is not 1 to 64 letters, digits, dots, underscores and hyphens.",
    )


def read_choice(header: Mapping[str, Any], name: str, choices: type[Choice]) -> Choice:
    """Return the header's word of this name; raises ``SignerRefused`` for any other word."""
    try:
        return choices(str(header.get(name)))
    except ValueError:
        allowed = ", ".join(choices)
        raise SignerRefused(
            SignerRefusal.REQUEST_MALFORMED,
            f"The request's {name} is not one of: {allowed}.",
        ) from None
