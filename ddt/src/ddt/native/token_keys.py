"""The keys that sign tokens, as PKaKey reads them (its `services/token_keys.py`).

The first signs. A line `Until: MOMENT` before a former one bounds it.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ddt import secret_files
from ddt.errors import TroubleError
from ddt.rotation.journal import Journal
from ddt.settings import Settings

_PEM: Final = re.compile(
    r"(?P<before>.*?)(?P<pem>-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----)", re.DOTALL
)
_UNTIL: Final = re.compile(r"^Until:(.*)$", re.MULTILINE)


def write(settings: Settings, file: Path) -> Path:
    """Write the set for a service that checks PKaKey's tokens; return the file.

    A key that is to sign next is among them before it does.
    """
    secret = secret_files.read(settings.secrets, secret_files.TOKEN_KEY)
    coming = Journal(settings.secrets).coming(secret_files.TOKEN_KEY) or ""
    file.write_text(jwk_set(secret, datetime.now(UTC), coming), encoding="ascii")
    return file


@dataclass(frozen=True)
class Key:
    """A private key in PEM, and when it ends to count (None: never)."""

    pem: str
    until: datetime | None = None

    def text(self) -> str:
        """Return what stands in the file."""
        bound = f"Until: {self.until.isoformat()}\n" if self.until else ""
        return f"{bound}{self.pem}\n"


def keys(secret: str, now: datetime) -> list[Key]:
    """Return the keys that count, the one that signs first.

    Raises TroubleError for a secret without one, or with a bound that is no moment.
    """
    try:
        found = [Key(match["pem"], _until(match["before"])) for match in _PEM.finditer(secret)]
    except ValueError as error:
        raise _trouble(error) from error
    if not found:
        raise _trouble(ValueError("it holds no key in PEM"))
    return [Key(found[0].pem), *(k for k in found[1:] if k.until is None or now < k.until)]


def jwk_set(secret: str, now: datetime, coming: str = "") -> str:
    """Return the JWK set (RFC 7517) of what counts in a secret, and in the one to come.

    The key ids are thumbprints (RFC 7638), as PKaKey writes them into its tokens. Raises
    TroubleError for a secret that holds anything but RSA keys in PEM.
    """
    there = keys(secret, now) + (keys(coming, now) if coming else [])
    try:
        entries = [_jwk(pem) for pem in dict.fromkeys(key.pem for key in there)]
    except (ValueError, TypeError) as error:
        raise _trouble(error) from error
    return json.dumps({"keys": entries})


def _until(before: str) -> datetime | None:
    match = _UNTIL.search(before)
    if match is None:
        return None
    moment = datetime.fromisoformat(match[1].strip())
    if moment.tzinfo is None:
        raise ValueError("a moment without its zone")
    return moment


def _trouble(error: Exception) -> TroubleError:
    return TroubleError(
        f"The secret token-signing-key holds no usable RSA key ({error}). Remove the file; "
        "'ddt up' makes a new one, and tokens of the old one end."
    )


def _jwk(pem: str) -> dict[str, str]:
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415  # Slow to load.
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        load_pem_private_key,
    )

    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("another kind of key")
    numbers = key.public_key().public_numbers()
    required = {"e": _unsigned(numbers.e), "kty": "RSA", "n": _unsigned(numbers.n)}
    # RFC 7638 section 3: the required members in this order, without white space.
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True).encode()
    key_id = _base64url(hashlib.sha256(canonical).digest())
    return {**required, "kid": key_id, "use": "sig", "alg": "RS256"}


def _unsigned(number: int) -> str:
    # RFC 7518 section 2: Base64urlUInt, the fewest octets.
    return _base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")
