"""Logout tokens (OpenID Connect Back-Channel Logout 1.0): the issuer says whose session ended."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from theddt_identity.errors import TokenRefused
from theddt_identity.verifying import LEEWAY, Verifier

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
MAX_AGE: Final = timedelta(minutes=5)
"""A logout token is sent at once; an old one is a replay."""
_MAX_TEXT: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Logout:
    """What ended: the session `session_id`, or, when that is empty, all sessions of `subject`.

    `token_id` is used once: remember it until `remember_until` and refuse it when it comes again.
    """

    issuer: str
    subject: str
    session_id: str
    token_id: str
    remember_until: datetime


def verify_logout_token(verifier: Verifier, token: str, *, now: datetime) -> Logout:
    """Return what a logout token says (section 2.6); the verifier's audience is the client's id.

    Raises `TokenRefused` or `KeysUnavailable`.
    """
    header, claims = verifier.verified(token, now=now)
    kind = str(header["typ"]).lower().removeprefix("application/")
    if kind not in {"logout+jwt", "jwt"} or not _is_logout(claims):
        raise TokenRefused("jwt.type")
    issued = datetime.fromtimestamp(claims["iat"], tz=UTC)
    if now - issued > MAX_AGE + LEEWAY:
        raise TokenRefused("jwt.expired")
    logout = Logout(
        issuer=_text(claims, "iss"),
        subject=_text(claims, "sub"),
        session_id=_text(claims, "sid"),
        token_id=_text(claims, "jti"),
        remember_until=issued + MAX_AGE + 2 * LEEWAY,
    )
    if not logout.token_id or not (logout.subject or logout.session_id):
        raise TokenRefused("jwt.claims")
    return logout


def _is_logout(claims: dict[str, Any]) -> bool:
    events = claims.get("events")
    # A nonce would let a logout token pass for an ID token (section 2.4).
    return (
        isinstance(events, dict) and isinstance(events.get(EVENT), dict) and "nonce" not in claims
    )


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name, "")
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
        raise TokenRefused("jwt.claims")
    return value
