"""Who asks: an API token, or a person who is signed in to the portal in this browser."""

import re
from datetime import UTC, datetime
from typing import Any, Final, cast
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from pkakey.fronts.rest.problems import Problem, challenge, token_problem
from pkakey.services import Services
from pkakey.services.principals import Principal

# RFC 6750 section 2.1: the characters of a bearer token. The scheme's case does not matter.
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,8192}={0,2}) *", re.IGNORECASE)
# Where the portal keeps the namespace that a person chose.
_NAMESPACE_KEY: Final = "namespace_id"

Authenticated = tuple[Any, Principal]


def _services(request: Request) -> Services:
    return cast("Services", request._request.services)  # type: ignore[attr-defined]  # noqa: SLF001


def _request_id(request: Request) -> str:
    return str(getattr(request._request, "request_id", ""))  # noqa: SLF001


class BearerAuthentication(BaseAuthentication):
    """Knows an API token or a JWT in `Authorization: Bearer` (RFC 6750 section 2.1)."""

    def authenticate(self, request: Request) -> Authenticated | None:
        """Return the token's principal, None without the field; raise on a token that is no good.

        A bad token never falls back to the browser's session: the caller meant the token.
        """
        field: str | None = request.META.get("HTTP_AUTHORIZATION")
        if field is None:
            return None
        match = _BEARER.fullmatch(field)
        if match is None:
            raise token_problem("token.malformed")
        principal = _services(request).principal_of_bearer(
            match[1], now=datetime.now(tz=UTC), request_id=_request_id(request)
        )
        return principal, principal

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002  # Fixed signature.
        """Return the challenge for a request without credentials."""
        return challenge("token.missing")["WWW-Authenticate"]


class _CSRFCheck(CsrfViewMiddleware):
    """Django's check, which tells its reason instead of rendering a page."""

    def _reject(self, request: HttpRequest, reason: str) -> str:  # noqa: ARG002
        return reason


def _never(request: HttpRequest) -> HttpResponse:
    raise AssertionError(request)


class BrowserSessionAuthentication(BaseAuthentication):
    """Knows a person who is signed in to the portal in this browser."""

    def authenticate(self, request: Request) -> Authenticated | None:
        """Return the person's principal, or None when nobody is signed in.

        Changes need the CSRF token, as on the portal's own forms. Until a one-time password is
        changed, nothing is allowed.
        """
        plain = request._request  # noqa: SLF001
        user = getattr(plain, "user", None)
        if user is None or not user.is_authenticated or not user.is_active:
            return None
        _enforce_csrf(plain)
        if getattr(user, "must_change_password", False):
            raise Problem(
                "password.must-change",
                "The one-time password must be changed before anything else. Sign in to the "
                "portal and change it there.",
            )
        chosen = plain.session.get(_NAMESPACE_KEY)
        principal = _services(request).principal_of_user(
            user_id=int(user.pk),
            namespace_id=UUID(chosen) if chosen else None,
            request_id=_request_id(request),
        )
        return user, principal


def _enforce_csrf(request: HttpRequest) -> None:
    check = _CSRFCheck(_never)
    check.process_request(request)
    reason = check.process_view(request, _never, (), {})
    if reason:
        raise Problem(
            "session.csrf",
            "A change in a browser's session needs its CSRF token. Send the X-CSRFToken field, or "
            "use an API token.",
        )
