"""Who somebody is for KoolFlows, and the token by which PKaKey asks it in their name."""

from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from allauth.socialaccount.models import SocialAccount

from pkakey.services.callers import PROVIDER
from pkakey.services.outside import Outside
from pkakey.services.principals import Principal
from pkakey.services.token_keys import load_token_keys
from pkakey.store.context import acting_as
from pkakey.store.tokens.models import Token

FLOWS: Final = "koolflows"
SCOPES: Final = frozenset({"flows:read", "flows:start", "flows:decide"})
LIFE: Final = timedelta(seconds=60)


def subject_of(principal: Principal) -> str:
    """Return the subject under which other services know this principal, however it came here.

    A person of Keycloak has the subject of Keycloak's own tokens; a token has that of the person
    who made it, so that nobody is two for a service that tells requester and approver apart.
    """
    kind, actor = principal.kind, principal.id
    if kind == "token":
        with acting_as(principal):
            maker = Token.objects.filter(pk=actor).values_list("created_by", flat=True).first()
        made_by, _, who = (maker or "").partition(":")
        if made_by == "token":
            return subject_of(_token(principal, who))
        if made_by != "user":
            return f"token:{actor}"
        kind, actor = "user", who
    if kind == "user" and actor.isdigit():
        accounts = SocialAccount.objects.filter(provider=PROVIDER, user_id=int(actor))
        return str(accounts.values_list("uid", flat=True).first() or actor)
    return actor if kind == "user" else f"{kind}:{actor}"


def _token(principal: Principal, token_id: str) -> Principal:
    """Return the token that made this one; it may be revoked by now, which changes no name."""
    return Principal(
        kind="token", id=token_id, name="", namespace_id=principal.namespace_id,
        namespace=principal.namespace,
    )  # fmt: skip


def mint_for_flows(outside: Outside, *, principal: Principal, now: datetime) -> str:
    """Return a token that lets PKaKey ask KoolFlows in this principal's name for a minute.

    A person's has their roles of this moment, so that who lost one decides nothing; a program's
    starts processes and sees them. Raises `ServiceUnavailable` without a signing key.
    """
    is_person = principal.kind == "user"
    subject = subject_of(principal)
    # Who may issue may ask for it; the maker's own roles are not borrowed from by a token.
    roles = sorted(principal.roles) if is_person else ["pki-requester"]
    scopes = SCOPES if is_person else SCOPES - {"flows:decide"}
    claims = {
        "iss": outside.public_url,
        "sub": subject,
        "aud": FLOWS,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFE).timestamp()),
        "azp": "pkakey",
        "typ": "Bearer",
        "jti": str(uuid4()),
        "preferred_username": principal.name,
        "name": principal.name,
        "namespace": principal.namespace,
        "roles": roles,
        "scope": " ".join(sorted(scopes)),
        # RFC 8693 section 4.1: who acts for the subject.
        "act": {"sub": "pkakey"},
    }
    return load_token_keys(outside.token_key_file).sign(claims)
