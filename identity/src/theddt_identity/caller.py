"""Who sent a token, from its claims: the same from Keycloak and from PKaKey's own provider."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from theddt_identity.errors import TokenRefused

MAX_ROLES: Final = 100
MAX_TEXT: Final = 255

_NAMESPACE: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_WORD: Final = re.compile(r"[\x21-\x7e]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who acts: a person, or a client that acts for itself.

    `subject` is unique within `issuer`, names are for display only. `namespace` is None when the
    token names none: such a caller has no rights in any. `scopes` are those of the token; Keycloak
    puts its own words there (`openid profile`), so they limit only where a service says so.
    `client_id` is who asked for the token (`azp`), `session_id` is the sign-in that it hangs on.
    """

    issuer: str
    subject: str
    username: str
    name: str
    email: str
    client_id: str
    namespace: str | None
    roles: frozenset[str]
    scopes: frozenset[str]
    token_id: str
    session_id: str
    issued_at: datetime
    expires_at: datetime

    @property
    def key(self) -> str:
        """One text for issuer and subject, for audit entries and idempotency."""
        return f"{self.issuer}#{self.subject}"


def caller_of(claims: Mapping[str, Any]) -> Caller:
    """Return the caller of verified claims; raises `TokenRefused("jwt.claims")`.

    A missing claim gives nothing; one of the wrong form is refused and never mended.
    """
    subject = _text(claims, "sub")
    if not subject:
        raise TokenRefused("jwt.claims")
    username = _text(claims, "preferred_username") or subject
    return Caller(
        issuer=_text(claims, "iss"),
        subject=subject,
        username=username,
        name=_text(claims, "name") or username,
        email=_text(claims, "email"),
        client_id=_text(claims, "azp") or _text(claims, "client_id"),
        namespace=_namespace(claims),
        roles=_roles(claims),
        scopes=_scopes(claims),
        token_id=_text(claims, "jti"),
        session_id=_text(claims, "sid"),
        issued_at=datetime.fromtimestamp(claims["iat"], tz=UTC),
        expires_at=datetime.fromtimestamp(claims["exp"], tz=UTC),
    )


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name, "")
    if not isinstance(value, str) or len(value) > MAX_TEXT or not (value.isprintable()):
        raise TokenRefused("jwt.claims")
    return value


def _namespace(claims: Mapping[str, Any]) -> str | None:
    value = claims.get("namespace")
    if value is None:
        return None
    if not isinstance(value, str) or not _NAMESPACE.fullmatch(value):
        raise TokenRefused("jwt.claims")
    return value


def _roles(claims: Mapping[str, Any]) -> frozenset[str]:
    value = claims.get("roles", [])
    if not isinstance(value, list) or len(value) > MAX_ROLES:
        raise TokenRefused("jwt.claims")
    return _words(value)


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    value = claims.get("scope", "")
    if not isinstance(value, str):
        raise TokenRefused("jwt.claims")
    parts = value.split()
    if len(parts) > MAX_ROLES:
        raise TokenRefused("jwt.claims")
    return _words(parts)


def _words(values: list[Any]) -> frozenset[str]:
    if not all(isinstance(value, str) and _WORD.fullmatch(value) for value in values):
        raise TokenRefused("jwt.claims")
    return frozenset(values)
