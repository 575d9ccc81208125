"""What each secret of docker-compose.yml looks like, and how one is made.

All but the signing key (PEM) are alphanumeric: Keycloak expands `$`, database URLs want
percent-encoding and pgAdmin reads Python literals. None ends with a newline:
oauth2-proxy would take it for a part of the secret.
"""

import secrets
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ddt.errors import TroubleError

_TYPED_CHARACTERS = 24
_RSA_BITS = 3072
_FEWEST_RSA_BITS = 2048
_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Kind:
    """One kind of secret: how a new one is made, and how one that is there is judged."""

    what: str
    new: Callable[[], str]
    fewest: int
    """Characters; a shorter one could be guessed, or its reader refuses it."""
    exactly: bool = False


PASSWORD = Kind("a password that a program sends", lambda: secrets.token_hex(32), 32)
TYPED_PASSWORD = Kind(
    "a password that a person types",
    lambda: "".join(secrets.choice(_ALPHABET) for _ in range(_TYPED_CHARACTERS)),
    16,
)
CLIENT_SECRET = Kind("an OIDC client's secret", lambda: secrets.token_hex(32), 32)
COOKIE_SECRET = Kind(
    # oauth2-proxy wants 16, 24 or 32 octets: an AES key.
    "oauth2-proxy's cookie secret", lambda: secrets.token_hex(16), 32, exactly=True
)  # fmt: skip
SECRET_KEY = Kind("Django's secret key", lambda: secrets.token_hex(32), 50)
KEY_ENCRYPTION_KEY = Kind(
    "the keystore's key-encryption key, in hex", lambda: secrets.token_hex(32), 64
)


def _new_signing_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode("ascii").strip()


SIGNING_KEY = Kind("the RSA key that signs tokens, in PEM", _new_signing_key, 1)
DATABASE_URI = Kind("a database address with a password in it", str, 1)

BUILD_ONLY = "extra_ca"
"""Not a secret of the platform: more certificate authorities for builds, /dev/null unless named."""

KINDS: dict[str, Kind] = {
    "pkakey-postgres-password": PASSWORD,
    "pkakey-owner-password": PASSWORD,
    "pkakey-web-password": PASSWORD,
    "pkakey-worker-password": PASSWORD,
    "pkakey-status-password": PASSWORD,
    "pkakey-signer-password": PASSWORD,
    "redis-password": PASSWORD,
    "redis-sessions-password": PASSWORD,
    "django-secret-key": SECRET_KEY,
    "token-signing-key": SIGNING_KEY,
    "keystore-kek": KEY_ENCRYPTION_KEY,
    "pesequel-postgres-password": PASSWORD,
    "pesequel-authenticator-password": PASSWORD,
    "pesequel-postgrest-uri": DATABASE_URI,
    "pesequel-relay-password": PASSWORD,
    "pesequel-pgadmin-password": PASSWORD,
    "pgadmin-password": TYPED_PASSWORD,
    "koolflows-owner-password": PASSWORD,
    "koolflows-web-password": PASSWORD,
    "koolflows-worker-password": PASSWORD,
    "koolflows-service-key": PASSWORD,
    "koolflows-secret-key": SECRET_KEY,
    "keycloak-postgres-password": PASSWORD,
    "keycloak-admin-password": TYPED_PASSWORD,
    "admin-password": TYPED_PASSWORD,
    "oauth2-proxy-client-secret": CLIENT_SECRET,
    "oauth2-proxy-cookie-secret": COOKIE_SECRET,
    "pkakey-oidc-client-secret": CLIENT_SECRET,
    "koolflows-oidc-client-secret": CLIENT_SECRET,
}
"""The kind of every secret in docker-compose.yml; a test holds the two together."""


DERIVED: dict[str, tuple[str, str]] = {
    "pesequel-postgrest-uri": (
        "pesequel-authenticator-password",
        "postgresql://authenticator:{}@pesequel_postgres:5432/pesequel",
    ),
}
"""Secrets that hold another one: its name, and the text around it."""


def new(name: str, others: Callable[[str], str]) -> str:
    """Return a new secret; `others` tells the value of one that this one holds."""
    if name in DERIVED:
        source, text = DERIVED[name]
        return text.format(others(source))
    return kind_of(name).new()


def kind_of(name: str) -> Kind:
    """Return the kind; raises TroubleError for a secret that this release does not know."""
    try:
        return KINDS[name]
    except KeyError:
        raise TroubleError(
            f"docker-compose.yml names the secret '{name}', which this release of ddt does not "
            "know how to make. Use the compose file and the command of one release.",
        ) from None


def problem(name: str, octets: bytes) -> str | None:
    """Return what is wrong with a secret's octets, as the end of a sentence, or None."""
    kind = kind_of(name)
    if not octets:
        return "is empty"
    if octets != octets.strip():
        return "begins or ends with white space, which its reader takes for a part of it"
    if name in DERIVED or kind is SIGNING_KEY:
        return _derived_problem(name, octets) if name in DERIVED else _signing_key_problem(octets)
    if kind is KEY_ENCRYPTION_KEY:
        # While it changes, the key to come is in a second line.
        octets = min(octets.split(b"\n", 1), key=len)
    if not octets.isalnum():
        return "holds other characters than letters and digits, which some readers misread"
    if len(octets) < kind.fewest or (kind.exactly and len(octets) > kind.fewest):
        many = "exactly" if kind.exactly else "at least"
        return f"has {len(octets)} characters; {kind.what} has {many} {kind.fewest}"
    return None


def _signing_key_problem(octets: bytes) -> str | None:
    try:
        key = load_pem_private_key(octets, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "is no private key in PEM without a password"
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < _FEWEST_RSA_BITS:
        return f"is no RSA key of {_FEWEST_RSA_BITS} bits or more"
    return None


def _derived_problem(name: str, octets: bytes) -> str | None:
    source, text = DERIVED[name]
    before, after = text.encode().split(b"{}")
    if octets.removeprefix(before).removesuffix(after).isalnum():
        return None
    return f"does not read {text.format('…')}, with what is in {source}"


def check_names(names: Iterable[str]) -> None:
    """Raise TroubleError for the first name that has no kind."""
    for name in names:
        kind_of(name)
