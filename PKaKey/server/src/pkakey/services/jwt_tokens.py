"""Tokens that others can check without asking: JWTs signed by PKaKey.

They cannot be taken back at a service that does not ask, so they are short: a day for a script,
a minute for the portal's own calls on behalf of a person.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from pkakey.services import tokens
from pkakey.services.errors import Conflict, NotPermitted
from pkakey.services.flows_tokens import FLOWS, SCOPES, subject_of
from pkakey.services.outside import Outside
from pkakey.services.principals import Principal, require
from pkakey.services.results import NewToken
from pkakey.services.token_keys import load_token_keys
from pkakey.store.accounts.models import User

MAX_LIFE: Final = timedelta(hours=24)
DEFAULT_LIFE: Final = timedelta(hours=1)
ON_BEHALF_LIFE: Final = timedelta(seconds=60)
DATA_READ: Final = "data:read"
WEB_USER: Final = "web_user"
"""PostgREST's database role; what it may see is decided by the other claims."""
AUDIENCE_OF_SCOPE: Final = {DATA_READ: "pesequel", **dict.fromkeys(SCOPES, FLOWS)}
"""Every other scope is one of PKaKey's own."""


def create_jwt(
    outside: Outside,
    *,
    principal: Principal,
    name: str,
    scopes: Iterable[str],
    expires_at: datetime | None,
    now: datetime,
) -> NewToken:
    """Create a signed token; `services.Services.create_jwt` tells the rest."""
    require(principal, "tokens:manage")
    wanted = sorted(set(scopes))
    ends = (expires_at or now + DEFAULT_LIFE).replace(microsecond=0)
    tokens.check(principal, name, wanted, ends, now)
    if ends > now + MAX_LIFE:
        raise Conflict(
            "token.expiry",
            f"A signed token (JWT) lives at most {MAX_LIFE.total_seconds() / 3600:.0f} hours, "
            "since a service that checks only its signature cannot learn that it was revoked; "
            f"{expires_at:%Y-%m-%d %H:%M:%S} came.",
        )
    if SCOPES & set(wanted) and not set(wanted) <= SCOPES:
        raise Conflict(
            "token.scope",
            "A signed token for KoolFlows speaks there as its maker, so that nobody approves their "
            f"own request; it has no other scopes beside {', '.join(sorted(SCOPES))}.",
        )
    token_id = uuid4()
    is_for_flows = set(wanted) <= SCOPES
    claims = _claims(outside, principal, now=now, ends=ends) | {
        "sub": subject_of(principal) if is_for_flows else f"token:{token_id}",
        "aud": sorted({AUDIENCE_OF_SCOPE.get(scope, "pkakey") for scope in wanted}),
        "scope": " ".join(wanted),
        "jti": str(token_id),
    }
    signed = load_token_keys(outside.token_key_file, now).sign(claims)
    return tokens.keep(
        principal=principal,
        token_id=token_id,
        plaintext=signed,
        name=name,
        scopes=wanted,
        ends=ends,
        now=now,
    )


def mint_on_behalf(outside: Outside, *, principal: Principal, audience: str, now: datetime) -> str:
    """Return a token that lets PKaKey call another service as this person for a minute.

    It is recorded nowhere: it is no more than the person's own rights, for one call. Raises
    `NotPermitted` for anybody but a person, and `ServiceUnavailable` without a signing key.
    """
    if principal.kind != "user":
        raise NotPermitted("people:only")
    claims = _claims(outside, principal, now=now, ends=now + ON_BEHALF_LIFE) | {
        "sub": subject_of(principal),
        "aud": audience,
        "scope": " ".join(sorted(principal.scopes)),
        "jti": str(uuid4()),
        # RFC 8693 section 4.1: who acts for the subject.
        "act": {"sub": "pkakey"},
    }
    return load_token_keys(outside.token_key_file, now).sign(claims)


def _claims(
    outside: Outside, principal: Principal, *, now: datetime, ends: datetime
) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "iss": outside.public_url,
        "iat": int(now.timestamp()),
        "exp": int(ends.timestamp()),
        "azp": "pkakey",
        "typ": "Bearer",
        "role": WEB_USER,
        "preferred_username": principal.name,
        "name": principal.name,
        "namespace": principal.namespace,
        "roles": sorted(principal.roles),
    }
    person = _person(principal)
    if person is not None:
        claims["name"] = person.get_full_name() or principal.name
        claims["email"] = person.email
    return claims


def _person(principal: Principal) -> User | None:
    if principal.kind != "user" or not principal.id.isdigit():
        return None
    return User.objects.filter(pk=int(principal.id)).first()
