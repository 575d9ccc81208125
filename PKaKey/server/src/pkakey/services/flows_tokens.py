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
    kind, actor = _maker(principal) if principal.kind == "token" else (principal.kind, principal.id)
    if kind == "user" and actor.isdigit():
        accounts = SocialAccount.objects.filter(provider=PROVIDER, user_id=int(actor))
        return str(accounts.values_list("uid", flat=True).first() or actor)
    return actor if kind == "user" else f"{kind}:{actor}"


def _maker(principal: Principal) -> tuple[str, str]:
    """Return the person who made a token, or the token that made it, back to the first one."""
    kind, actor = "token", principal.id
    # Each was there before the one that it made, so that this comes to an end; revoked or not.
    with acting_as(principal):
        while kind == "token":
            found = Token.objects.filter(pk=actor).values_list("created_by", flat=True)
            made_by, _, who = (found.first() or "").partition(":")
            if made_by not in {"user", "token"}:
                break
            kind, actor = made_by, who
    return kind, actor


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
    return load_token_keys(outside.token_key_file, now).sign(claims)
