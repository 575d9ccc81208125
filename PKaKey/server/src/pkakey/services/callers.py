"""Who calls the API: the principal of a bearer token of any form.

Three forms come: an API token (`ddt_…`), a JWT that PKaKey made and kept the digest of, and a JWT
of the sign-in provider, whose roles and namespace count as a person's do.
"""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from uuid import UUID

from allauth.socialaccount.models import SocialAccount
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from theddt_identity import (
    Caller,
    KeysUnavailable,
    TokenRefused,
    TrustedIssuer,
    Verifier,
    keys_at,
)

from pkakey.services import tokens
from pkakey.services.errors import Conflict, ServiceUnavailable, Unauthenticated
from pkakey.services.outside import Outside, SignInProvider
from pkakey.services.principals import PERMISSIONS, Principal, principal_of_user
from pkakey.services.token_keys import load_token_keys
from pkakey.store.reading import rows

OWN_AUDIENCE = "pkakey"
PROVIDER = "keycloak"
"""What allauth calls the sign-in provider."""


def principal_of_bearer(
    outside: Outside, token: str, *, now: datetime, request_id: str = ""
) -> Principal:
    """Return the principal; `services.Services.principal_of_bearer` tells the rest."""
    if token.count(".") != 2:  # noqa: PLR2004  # RFC 7515 section 3: a JWT has three parts.
        return tokens.authenticate_token(token, now, request_id)
    caller = verify(api_verifier(outside), token, now)
    if caller.issuer == outside.public_url:
        return _of_own(token, caller, now, request_id)
    return _of_provider(caller, request_id)


def verify(verifier: Verifier, token: str, now: datetime) -> Caller:
    """Return the caller; raises `Unauthenticated` or `ServiceUnavailable`."""
    try:
        return verifier.caller(token, now=now)
    except TokenRefused as error:
        raise Unauthenticated(error.code) from None
    except KeysUnavailable as error:
        raise ServiceUnavailable("sign-in service", str(error)) from error


def api_verifier(outside: Outside) -> Verifier:
    """Return the checker of access tokens for this API."""
    return _verifier(outside.public_url, outside.token_key_file, outside.sign_in, None)


def client_verifier(provider: SignInProvider) -> Verifier:
    """Return the checker of what the provider sends to us as its client: ID and logout tokens."""
    return _verifier("", None, provider, provider.client_id)


@cache
def _verifier(
    own_issuer: str, key_file: Path | None, provider: SignInProvider | None, audience: str | None
) -> Verifier:
    issuers = []
    if own_issuer:
        issuers.append(TrustedIssuer(own_issuer, _OwnKeys(key_file)))
    if provider is not None:
        keys = keys_at(provider.issuer, provider.keys_url)
        issuers.append(TrustedIssuer(provider.issuer, keys))
    named = audience or (provider.audience if provider else OWN_AUDIENCE)
    return Verifier(audience=named, issuers=issuers)


class _OwnKeys:
    """Our own public keys; without a key file there are none, and nothing of ours is believed."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def find(self, key_id: str, algorithm: str) -> RSAPublicKey | EllipticCurvePublicKey | None:
        """Return the key for this `kid` and algorithm."""
        try:
            return load_token_keys(self._file, datetime.now(UTC)).public.find(key_id, algorithm)
        except ServiceUnavailable:
            return None


def _of_own(token: str, caller: Caller, now: datetime, request_id: str) -> Principal:
    """Our own tokens: kept ones count by what is stored, so that a revoked one is no good."""
    if caller.subject.startswith("token:"):
        return tokens.authenticate_kept(token, now, request_id)
    if not caller.subject.isdigit():
        return _of_claims(caller, caller.subject, request_id)
    # A person's token of our own provider: what the person may now, not when it was signed.
    principal = principal_of_user(
        user_id=int(caller.subject),
        namespace_id=_namespace_id(caller),
        request_id=request_id,
    )
    if principal.namespace != caller.namespace:
        raise _unknown_namespace()
    return principal


def _of_provider(caller: Caller, request_id: str) -> Principal:
    account = (
        SocialAccount.objects.filter(provider=PROVIDER, uid=caller.subject)
        .select_related("user")
        .first()
    )
    if account is None:
        return _of_claims(caller, caller.subject, request_id)
    if not account.user.is_active:
        raise Unauthenticated("token.revoked")
    return _of_claims(caller, str(account.user.pk), request_id)


def _of_claims(caller: Caller, actor: str, request_id: str) -> Principal:
    return Principal(
        kind="user",
        id=actor[:128],
        name=caller.username,
        namespace_id=_namespace_id(caller),
        namespace=caller.namespace or "",
        roles=caller.roles,
        # Keycloak puts words of its own there (`openid`); only permissions narrow.
        scopes=caller.scopes & PERMISSIONS.keys(),
        request_id=request_id,
    )


def _namespace_id(caller: Caller) -> UUID:
    for namespace_id, slug in rows("SELECT id, slug FROM pki.namespaces()"):
        if slug == caller.namespace:
            return UUID(str(namespace_id))
    raise _unknown_namespace()


def _unknown_namespace() -> Conflict:
    return Conflict(
        "namespace.unknown",
        "The token names no namespace that exists here. An administrator puts its holder into a "
        "group whose namespace exists, or makes the namespace (create_namespace).",
    )
