"""A signed token in, its claims out; or a refusal with a code.

RFC 8725 (JWT best current practices) is the list that this follows: the algorithm comes from an
allow-list and fits the key, the key comes from the issuer's own set and never from the token, each
kind of token is told from the others, issuer and audience are compared whole.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt

from theddt_identity.caller import Caller, caller_of
from theddt_identity.errors import TokenRefused
from theddt_identity.keys import PublicKeys

ALGORITHMS: Final = frozenset({"RS256", "PS256", "ES256"})
MAX_TOKEN_BYTES: Final = 8 * 1024
"""Longer than a token with a hundred roles; gateways allow 16 kB for all header fields."""
LEEWAY: Final = timedelta(seconds=30)
"""How far the clocks of issuer and service may differ."""
MAX_KEY_ID: Final = 256

_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
# RFC 7515 section 4.1: these bring a key, an address of one, or a changed meaning.
_FORBIDDEN_HEADERS: Final = frozenset(
    {"jku", "jwk", "x5u", "x5c", "crit", "b64", "enc", "zip", "cty"}
)
_FOREVER: Final = 253402300799  # The last second of the year 9999.


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer by its exact `iss`, with the keys that it signs by."""

    issuer: str
    keys: PublicKeys


class Verifier:
    """Checks tokens for one audience from some issuers; safe for threads.

    A token is only ever checked by the keys of the issuer that it names.
    """

    def __init__(self, *, audience: str, issuers: Iterable[TrustedIssuer]) -> None:
        self.audience = audience
        self._issuers = {one.issuer: one for one in issuers}
        if not audience or not self._issuers or "" in self._issuers:
            raise ValueError("A verifier needs an audience and at least one issuer, by name.")

    def caller(self, token: str, *, now: datetime) -> Caller:
        """Return who sent this access token; raises `TokenRefused` or `KeysUnavailable`."""
        header, claims = self.verified(token, now=now)
        if not _is_access_token(header, claims):
            raise TokenRefused("jwt.type")
        if "cnf" in claims:
            # RFC 7800: only who proves that key may use it, and nobody proves it here.
            raise TokenRefused("jwt.bound")
        return caller_of(claims)

    def verified(self, token: str, *, now: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return header and claims after signature, issuer, audience and times were checked.

        The kind of token is not checked: `caller` and `verify_logout_token` do that.
        """
        header = _header_of(token)
        trusted = self._issuers.get(_issuer_of(token))
        if trusted is None:
            raise TokenRefused("jwt.issuer")
        key = trusted.keys.find(header["kid"], header["alg"])
        if key is None:
            raise TokenRefused("jwt.key")
        try:
            jwt.api_jws.decode(token, key=key, algorithms=[header["alg"]])
        except (jwt.PyJWTError, ValueError, TypeError):
            raise TokenRefused("jwt.signature") from None
        claims = _part(token, 1)
        _check_audience(claims, self.audience)
        _check_times(claims, now)
        return header, claims


def _header_of(token: str) -> dict[str, Any]:
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenRefused("jwt.too-large")
    if not _SHAPE.fullmatch(token):
        raise TokenRefused("jwt.malformed")
    header = _part(token, 0)
    if _FORBIDDEN_HEADERS & header.keys():
        raise TokenRefused("jwt.header")
    if not isinstance(header.get("alg"), str) or header["alg"] not in ALGORITHMS:
        raise TokenRefused("jwt.algorithm")
    key_id = header.get("kid")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= MAX_KEY_ID:
        raise TokenRefused("jwt.key")
    if not isinstance(header.get("typ"), str):
        raise TokenRefused("jwt.type")
    return header


def _part(token: str, index: int) -> dict[str, Any]:
    text = token.split(".")[index]
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        value = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (binascii.Error, ValueError, RecursionError):
        raise TokenRefused("jwt.malformed") from None
    if not isinstance(value, dict):
        raise TokenRefused("jwt.malformed")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 7519 section 4: names are unique. Two readers must not see two values."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("A member's name occurs twice.")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON.")


def _issuer_of(token: str) -> str:
    """Return the issuer that the token claims: good for choosing the keys, for nothing else."""
    issuer = _part(token, 1).get("iss")
    return issuer if isinstance(issuer, str) else ""


def _is_access_token(header: Mapping[str, Any], claims: Mapping[str, Any]) -> bool:
    """Tell access tokens from ID, refresh and logout tokens of the same issuer and audience.

    By the header as RFC 9068 section 2.1 has it, or by Keycloak's claim.
    """
    kind = str(header["typ"]).lower().removeprefix("application/")
    marked = claims.get("typ")
    if kind == "at+jwt":
        return marked in {None, "Bearer"}
    return kind == "jwt" and marked == "Bearer"


def _check_audience(claims: Mapping[str, Any], audience: str) -> None:
    named = claims.get("aud")
    if named != audience and not (isinstance(named, list) and audience in named):
        raise TokenRefused("jwt.audience")


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    if now >= _moment(claims, "exp") + LEEWAY:
        raise TokenRefused("jwt.expired")
    if _moment(claims, "iat") > now + LEEWAY:
        raise TokenRefused("jwt.not-yet-valid")
    if "nbf" in claims and _moment(claims, "nbf") > now + LEEWAY:
        raise TokenRefused("jwt.not-yet-valid")


def _moment(claims: Mapping[str, Any], name: str) -> datetime:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefused("jwt.claims")
    if not math.isfinite(value) or not 0 <= value <= _FOREVER:
        raise TokenRefused("jwt.claims")
    return datetime.fromtimestamp(value, tz=UTC)
