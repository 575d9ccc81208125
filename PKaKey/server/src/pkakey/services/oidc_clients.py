"""Programs at which people sign in by PKaKey (native mode): clients of its OIDC provider."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from allauth.idp.oidc.models import Client

from pkakey.services.errors import Conflict
from pkakey.services.namespace_walk import each_namespace
from pkakey.services.namespaces import DEFAULT
from pkakey.services.outside import Outside
from pkakey.services.records import record
from pkakey.store.context import acting_as

AUDIENCES: Final = ("pkakey", "koolflows", "pesequel")
"""A client that may ask for a service's name as a scope gets tokens for that service."""
_PERSON: Final = ("openid", "profile", "email")
_MAX_NAME: Final = 100
_MAX_URI: Final = 500
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewClient:
    """A client that was just made; a public one has no secret and must use PKCE."""

    client_id: str
    secret: str | None = field(repr=False)


def create_client(
    outside: Outside,
    *,
    name: str,
    redirect_uris: list[str],
    audiences: list[str],
    public: bool,
    now: datetime,
) -> NewClient:
    """Make the client; `services.Services.create_oidc_client` tells the rest."""
    if outside.sign_in is not None:
        raise Conflict(
            "oidc.not-provider",
            "People sign in at Keycloak on this platform. Make the client there.",
        )
    if not 0 < len(name.strip()) <= _MAX_NAME or not name.isprintable():
        raise Conflict("oidc.name", f"A client's name has 1 to {_MAX_NAME} printable characters.")
    unknown = sorted(set(audiences) - set(AUDIENCES))
    if unknown:
        raise Conflict(
            "oidc.audience",
            f"There is no service {', '.join(unknown)[:200]}; choose from {', '.join(AUDIENCES)}.",
        )
    if not redirect_uris:
        raise Conflict("oidc.redirect", "A client needs at least one redirect URI.")
    for uri in redirect_uris:
        _check_redirect(uri)
    secret = None if public else secrets.token_urlsafe(32)
    client = Client(
        name=name.strip(),
        type=Client.Type.PUBLIC if public else Client.Type.CONFIDENTIAL,
        grant_types="authorization_code\nrefresh_token",
    )
    client.set_redirect_uris(redirect_uris)
    client.set_scopes([*_PERSON, *sorted(set(audiences))])
    client.set_secret(secret or secrets.token_urlsafe(32))
    home = next(one for one in each_namespace("people") if one.namespace == DEFAULT)
    with acting_as(home):
        client.save(force_insert=True)
        record(
            principal=home,
            now=now,
            action="oidc-client.created",
            target=str(client.id),
            details={"name": client.name, "redirect_uris": redirect_uris, "audiences": audiences},
        )
    return NewClient(client_id=str(client.id), secret=secret)


def _check_redirect(uri: str) -> None:
    """RFC 9700 section 4.1: whole addresses, TLS, or loopback for programs on one's machine."""
    try:
        parts = urlsplit(uri)
        hostname, _ = parts.hostname, parts.port
    except ValueError:
        hostname = None
    if (
        hostname is None
        or len(uri) > _MAX_URI
        or not uri.isascii()
        or not uri.isprintable()
        or any(sign in uri for sign in "*#\\ ")
        or parts.username is not None
        or not (parts.scheme == "https" or (parts.scheme == "http" and hostname in _LOOPBACK))
    ):
        raise Conflict(
            "oidc.redirect",
            f"{uri[:_MAX_URI]!r} cannot be a redirect URI. Give a whole https address without a "
            "wildcard or fragment, or http at 127.0.0.1 for a program on one's own machine.",
        )
