"""Who calls: a bearer token in, a `Caller` out, the same rules for every service of theDDT.

Tokens are JWTs (RFC 7519) as Keycloak and PKaKey's own provider sign them. Nothing here knows a
framework or a database, and the time is an argument. `docs/identity.md` tells the claims.
"""

from theddt_identity.caller import Caller, caller_of
from theddt_identity.errors import IdentityError, KeysUnavailable, TokenRefused
from theddt_identity.keys import KeySet, PublicKeys, keys_at, keys_in_file
from theddt_identity.logout import Logout, verify_logout_token
from theddt_identity.verifying import (
    ALGORITHMS,
    LEEWAY,
    MAX_TOKEN_BYTES,
    TrustedIssuer,
    Verifier,
)

__all__ = [
    "ALGORITHMS",
    "LEEWAY",
    "MAX_TOKEN_BYTES",
    "Caller",
    "IdentityError",
    "KeySet",
    "KeysUnavailable",
    "Logout",
    "PublicKeys",
    "TokenRefused",
    "TrustedIssuer",
    "Verifier",
    "caller_of",
    "keys_at",
    "keys_in_file",
    "verify_logout_token",
]
