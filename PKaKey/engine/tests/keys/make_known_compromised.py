"""Write keys/known_compromised.txt: public keys of the private scalars 1 to 256.

Deterministic: the same file comes out each time. Run it with the engine's virtual environment.
"""

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

LAST_SCALAR = 256
TARGET = Path(__file__).parents[2] / "src" / "pkakey_engine" / "keys" / "known_compromised.txt"


def lines() -> list[str]:
    """Return the file's lines: a header and one truncated SHA-256 a key."""
    found = [
        f"# Private scalars 1 to {LAST_SCALAR} on P-256, then on P-384.",
        "# First 16 octets of SHA-256 over the SPKI. Made by make_known_compromised.py.",
    ]
    for curve in (ec.SECP256R1(), ec.SECP384R1()):
        for scalar in range(1, LAST_SCALAR + 1):
            key = ec.derive_private_key(scalar, curve).public_key()
            spki = key.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            found.append(hashlib.sha256(spki).hexdigest()[:32])
    return found


if __name__ == "__main__":
    TARGET.write_text("\n".join(lines()) + "\n", "ascii")
