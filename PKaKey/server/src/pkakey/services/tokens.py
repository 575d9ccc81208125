"""API tokens: created once, kept as a digest, checked on every use."""

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock
from time import monotonic
from uuid import UUID, uuid4

from pkakey.services.errors import Conflict, NotFound, NotPermitted, Unauthenticated
from pkakey.services.principals import PERMISSIONS, Principal, require
from pkakey.services.records import record
from pkakey.services.results import NewToken
from pkakey.store.context import acting_as
from pkakey.store.reading import rows
from pkakey.store.tokens.models import Token

DEFAULT_LIFE = timedelta(days=90)
MAX_LIFE = timedelta(days=366)
_SHAPE = re.compile(r"ddt_[A-Za-z0-9_-]{43}")
_MAX_NAME = 255

_REMEMBERED_SECONDS = 30.0
_REMEMBERED_TOKENS = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    expires_at: datetime
    until: float


_known: dict[bytes, _Known] = {}
_lock = Lock()


def create_token(
    *,
    principal: Principal,
    name: str,
    scopes: Iterable[str],
    expires_at: datetime | None,
    now: datetime,
) -> NewToken:
    """Create a token; `services.Services.create_token` tells the rest."""
    require(principal, "tokens:manage")
    wanted = sorted(set(scopes))
    check(principal, name, wanted, expires_at, now)
    return keep(
        principal=principal,
        token_id=uuid4(),
        plaintext=f"ddt_{secrets.token_urlsafe(32)}",
        name=name,
        scopes=wanted,
        ends=expires_at or now + DEFAULT_LIFE,
        now=now,
    )


def keep(
    *,
    principal: Principal,
    token_id: UUID,
    plaintext: str,
    name: str,
    scopes: list[str],
    ends: datetime,
    now: datetime,
) -> NewToken:
    """Store the token's digest and record its creation; the checks are the caller's."""
    with acting_as(principal):
        Token.objects.create(
            id=token_id,
            namespace_id=principal.namespace_id,
            name=name,
            token_sha256=_digest(plaintext),
            scopes=scopes,
            created_by=f"{principal.kind}:{principal.id}",
            created_by_name=principal.name,
            created_at=now,
            expires_at=ends,
        )
        record(
            principal=principal,
            now=now,
            action="token.created",
            target=str(token_id),
            details={"name": name, "scopes": scopes, "expires_at": ends.isoformat()},
        )
    return NewToken(
        id=token_id,
        token=plaintext,
        name=name,
        scopes=tuple(scopes),
        created_at=now,
        expires_at=ends,
    )


def check(
    principal: Principal,
    name: str,
    scopes: list[str],
    expires_at: datetime | None,
    now: datetime,
) -> None:
    """Raise `Conflict` or `NotPermitted` for a token that may not be made."""
    if not 0 < len(name.strip()) <= _MAX_NAME or not name.isprintable():
        raise Conflict("token.name", f"A token's name has 1 to {_MAX_NAME} printable characters.")
    unknown = [scope for scope in scopes if scope not in PERMISSIONS]
    if unknown or not scopes:
        came = ", ".join(unknown)[:200] or "none"
        raise Conflict(
            "token.scope",
            f"The scopes that came are not known: {came}. Choose from {', '.join(PERMISSIONS)}.",
        )
    for scope in scopes:
        # Nobody can hand on what they do not have.
        if not principal.can(scope):
            raise NotPermitted(scope)
    if expires_at is not None and not now < expires_at <= now + MAX_LIFE:
        raise Conflict(
            "token.expiry",
            f"A token ends at most {MAX_LIFE.days} days from now, and not in the past; "
            f"{expires_at:%Y-%m-%d %H:%M:%S} came.",
        )


def revoke_token(*, principal: Principal, token_id: UUID, now: datetime) -> None:
    """Revoke a token; `services.Services.revoke_token` tells the rest.

    Who is no administrator revokes their own tokens only.
    """
    require(principal, "tokens:manage")
    with acting_as(principal):
        tokens = Token.objects.filter(id=token_id)
        if principal.kind == "user" and "pki-admin" not in principal.roles:
            tokens = tokens.filter(created_by=f"{principal.kind}:{principal.id}")
        token = tokens.first()
        if token is None:
            raise NotFound("token")
        if tokens.filter(revoked_at__isnull=True).update(revoked_at=now):
            record(
                principal=principal,
                now=now,
                action="token.revoked",
                target=str(token_id),
                details={"name": token.name},
            )
    with _lock:
        _known.pop(bytes(token.token_sha256), None)


def authenticate_token(token: str, now: datetime, request_id: str = "") -> Principal:
    """Return the token's principal; raises `Unauthenticated`.

    A token is remembered for some seconds. That outlives no revocation: each transaction of
    `acting_as` and each intent asks for it again.
    """
    if not _SHAPE.fullmatch(token):
        raise Unauthenticated("token.unknown")
    return authenticate_kept(token, now, request_id)


def authenticate_kept(token: str, now: datetime, request_id: str = "") -> Principal:
    """Return the principal of a token of either form whose digest is stored."""
    digest = _digest(token)
    known = _known.get(digest)
    if known is None or known.until < monotonic():
        known = _look_up(digest, now)
    if known.expires_at <= now:
        raise Unauthenticated("token.expired")
    return replace(known.principal, request_id=request_id)


def _look_up(digest: bytes, now: datetime) -> _Known:
    found = rows("SELECT * FROM pki.token_principal(%s)", [digest])
    if not found:
        raise Unauthenticated("token.unknown")
    token_id, name, namespace_id, namespace, scopes, expires_at, revoked_at, _ = found[0]
    if revoked_at is not None:
        raise Unauthenticated("token.revoked")
    known = _Known(
        Principal(
            kind="token",
            id=str(token_id),
            name=name,
            namespace_id=namespace_id,
            namespace=namespace,
            scopes=frozenset(scopes),
        ),
        expires_at,
        monotonic() + _REMEMBERED_SECONDS,
    )
    if expires_at > now:
        with acting_as(known.principal):
            Token.objects.filter(id=token_id).update(last_used_at=now)
    with _lock:
        if len(_known) >= _REMEMBERED_TOKENS:
            _known.clear()
        _known[digest] = known
    return known


def _digest(plaintext: str) -> bytes:
    return hashlib.sha256(plaintext.encode()).digest()
