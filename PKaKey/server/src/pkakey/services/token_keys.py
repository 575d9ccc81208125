"""PKaKey's own key for signing tokens (RS256): from a secret file, first key first.

The file holds one or more RSA keys in PEM. The first signs, all are published, so that a new key
put before the old one ends no token early. A line `Until: MOMENT` (ISO 8601, with its zone) before
a former key bounds it: from then on it counts no more, whether or not it was taken out.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import jwt
from allauth.core.internal.jwkkit import jwk_thumbprint
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from theddt_identity import KeySet

from pkakey.services.errors import ServiceUnavailable

ALGORITHM: Final = "RS256"
MIN_BITS: Final = 2048
WHAT: Final = "key for signing tokens"
_PEM: Final = re.compile(
    r"(?P<before>.*?)(?P<pem>-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----)", re.DOTALL
)
_UNTIL: Final = re.compile(r"^Until:(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """Signs by the first key; `pems` never shows in a traceback.

    That key is kept as read: reading one checks its primes, some 50 ms of work.
    """

    pems: tuple[str, ...] = field(repr=False)
    private: RSAPrivateKey = field(repr=False)
    key_id: str
    jwks: bytes
    public: KeySet

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a signed access token (`typ` as RFC 9068 section 2.1 has it)."""
        return jwt.encode(
            claims,
            self.private,
            algorithm=ALGORITHM,
            headers={"kid": self.key_id, "typ": "at+jwt"},
        )


def load_token_keys(file: Path | None, now: datetime) -> TokenKeys:
    """Return the keys in the file that count now; a changed file is read again.

    Raises `ServiceUnavailable` without a file or with one that holds no RSA key.
    """
    if file is None:
        raise ServiceUnavailable(WHAT, "No file with a key for signing tokens is configured.")
    try:
        status = file.stat()
        first, *former = _read(file, status.st_mtime_ns, status.st_size)
        kept = (pem for pem, until in former if until is None or now < until)
        return _load((first[0], *kept))
    except (OSError, ValueError, TypeError) as error:
        raise ServiceUnavailable(
            WHAT, f"{file} holds no usable RSA key for signing tokens; `ddt init` makes one."
        ) from error


@lru_cache(maxsize=4)
def _read(file: Path, _changed: int, _size: int) -> tuple[tuple[str, datetime | None], ...]:
    found = tuple(
        (match["pem"], _until(match["before"]))
        for match in _PEM.finditer(file.read_text(encoding="ascii"))
    )
    if not found:
        raise ValueError("The file holds no key in PEM.")
    return found


def _until(text: str) -> datetime | None:
    match = _UNTIL.search(text)
    if match is None:
        return None
    moment = datetime.fromisoformat(match[1].strip())
    if moment.tzinfo is None:
        raise ValueError("A moment without its zone.")
    return moment


@lru_cache(maxsize=4)
def _load(pems: tuple[str, ...]) -> TokenKeys:
    keys = [_private(pem) for pem in pems]
    entries = [_jwk(key) for key in keys]
    document = json.dumps({"keys": entries}).encode()
    return TokenKeys(pems, keys[0], entries[0]["kid"], document, KeySet.of(document))


def _private(pem: str) -> RSAPrivateKey:
    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, RSAPrivateKey) or key.key_size < MIN_BITS:
        raise ValueError(f"A key for signing tokens is RSA of at least {MIN_BITS} bits.")
    return key


def _jwk(key: RSAPrivateKey) -> dict[str, str]:
    entry: dict[str, str] = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    entry = {name: entry[name] for name in ("kty", "n", "e")}
    return entry | {"kid": jwk_thumbprint(entry), "use": "sig", "alg": ALGORITHM}
