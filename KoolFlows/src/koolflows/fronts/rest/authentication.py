"""Who asks: the caller of a signed token, checked for every request. No header is believed."""

import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, cast

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from theddt_identity import Caller

from koolflows.fronts.rest.problems import Problem, unauthenticated
from koolflows.services import Services
from koolflows.services.principals import SCOPES, Principal

# RFC 6750 section 2.1: the characters of a bearer token. The scheme's case does not matter.
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,8192}={0,2}) *", re.IGNORECASE)
# What the service itself does is recorded under this; no token may take the name.
_RESERVED: Final = "system:"
# A token of PKaKey that no person made.
_PROGRAM: Final = "token:"


class BearerAuthentication(BaseAuthentication):
    """Knows a token in `Authorization: Bearer`."""

    def authenticate(self, request: Request) -> tuple[Any, Principal] | None:
        """Return the token's principal, None without the field; raise on one that is no good."""
        field: str | None = request.META.get("HTTP_AUTHORIZATION")
        if field is None:
            return None
        match = _BEARER.fullmatch(field)
        if match is None:
            raise unauthenticated(
                "token.malformed", "The Authorization field is not `Bearer TOKEN`."
            )
        plain = request._request  # noqa: SLF001
        services = cast("Services", plain.services)  # type: ignore[attr-defined]
        caller = services.verifier.caller(match[1], now=datetime.now(tz=UTC))
        principal = principal_of_caller(caller, str(getattr(plain, "request_id", "")))
        return principal, principal

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002  # Fixed signature.
        """Return the challenge for a request without credentials."""
        return 'Bearer realm="theDDT"'


def principal_of_caller(caller: Caller, request_id: str) -> Principal:
    """Return the principal that a verified token names; raises for one without a namespace."""
    if caller.subject.startswith(_RESERVED):
        raise unauthenticated("jwt.claims", "This subject is the service's own.")
    if caller.namespace is None:
        raise _no_namespace()
    is_program = caller.subject.startswith(_PROGRAM)
    return Principal(
        subject=caller.subject,
        name=caller.name,
        namespace=caller.namespace,
        roles=frozenset() if is_program else caller.roles,
        scopes=caller.scopes & SCOPES,
        is_program=is_program,
        request_id=request_id,
    )


def _no_namespace() -> Problem:
    return Problem(
        HTTPStatus.FORBIDDEN,
        "token.no-namespace",
        "Not permitted",
        "The token names no namespace, so that nothing can be seen by it.",
    )
