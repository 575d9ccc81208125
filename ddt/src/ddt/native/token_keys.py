"""The public half of the key that signs tokens, for those who check them without asking PKaKey."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Final

from ddt import secret_files
from ddt.errors import TroubleError
from ddt.settings import Settings

_PEM: Final = re.compile(r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", re.DOTALL)


def write(settings: Settings, file: Path) -> Path:
    """Write the set for a service that checks PKaKey's tokens; return the file."""
    secret = secret_files.read(settings.secrets, secret_files.TOKEN_KEY)
    file.write_text(jwk_set(secret), encoding="ascii")
    return file


def jwk_set(secret: str) -> str:
    """Return the JWK set (RFC 7517) of a secret that holds one or more RSA keys in PEM.

    The key ids are thumbprints (RFC 7638), as PKaKey writes them into its tokens. Raises
    TroubleError for a secret that holds anything else.
    """
    pems = _PEM.findall(secret)
    try:
        keys = [_jwk(pem) for pem in pems or [secret]]
    except (ValueError, TypeError) as error:
        raise TroubleError(
            f"The secret token-signing-key holds no usable RSA key ({error}). Remove the file; "
            "'ddt up' makes a new one, and tokens of the old one end."
        ) from error
    return json.dumps({"keys": keys})


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
