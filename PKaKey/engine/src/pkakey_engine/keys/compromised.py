"""Keys whose private half is public, by digest.

What is covered out of the box: the small private scalars on P-256 and P-384 listed in
``known_compromised.txt`` (made by ``tests/keys/make_known_compromised.py``). What is not: the keys
of Debian's predictable OpenSSL (CVE-2008-0166) are only known by generating them with that very
OpenSSL, and no list of them is kept by a package that the platform could depend on. The operator
names such a list, and ``KnownCompromisedKeys.parse`` reads it: lines of ``openssl-blacklist``
(Debian and Ubuntu shipped it) are understood as they are.
"""

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib import resources

from cryptography.hazmat.primitives.asymmetric import rsa

from pkakey_engine.errors import Refusal, Refused

__all__ = ["KnownCompromisedKeys", "shipped_compromised_keys"]

_SPKI_DIGEST_OCTETS = 16
_MODULUS_DIGEST_OCTETS = 10


class KnownCompromisedKeys:
    r"""A set of keys never to be certified, held as truncated digests.

    ``spki_digests``: the first 16 octets of SHA-256 over SubjectPublicKeyInfo.
    ``modulus_digests``: the last 10 octets of SHA-1 over ``Modulus=<HEX>\n``, the form in which
    Debian's ``openssl-blacklist`` writes RSA keys (openssl-vulnkey(1)).
    """

    __slots__ = ("_modulus_digests", "_spki_digests")

    def __init__(
        self, spki_digests: Iterable[bytes] = (), modulus_digests: Iterable[bytes] = ()
    ) -> None:
        self._spki_digests = frozenset(spki_digests)
        self._modulus_digests = frozenset(modulus_digests)

    def __len__(self) -> int:
        return len(self._spki_digests) + len(self._modulus_digests)

    @classmethod
    def parse(cls, lines: Iterable[str]) -> "KnownCompromisedKeys":
        """Return the set that the lines list; ``#`` starts a comment line.

        A line is 32 or 64 hex digits (SHA-256 of the SubjectPublicKeyInfo, truncated or whole) or
        20 hex digits (``openssl-blacklist``). Raises ValueError with the line's number otherwise.
        """
        spki: set[bytes] = set()
        modulus: set[bytes] = set()
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            try:
                digest = bytes.fromhex(text)
            except ValueError:
                digest = b""
            if len(digest) == _MODULUS_DIGEST_OCTETS:
                modulus.add(digest)
            elif len(digest) in {_SPKI_DIGEST_OCTETS, hashlib.sha256().digest_size}:
                spki.add(digest[:_SPKI_DIGEST_OCTETS])
            else:
                raise ValueError(f"Line {number} is no digest of 20, 32 or 64 hex digits.")
        return cls(spki, modulus)

    def __or__(self, other: "KnownCompromisedKeys") -> "KnownCompromisedKeys":
        return KnownCompromisedKeys(
            self._spki_digests | other._spki_digests, self._modulus_digests | other._modulus_digests
        )

    def check(self, public_key: object, spki_sha256: bytes) -> None:
        """Raise ``Refused`` when the key is in the set."""
        if spki_sha256[:_SPKI_DIGEST_OCTETS] in self._spki_digests:
            raise Refused(
                Refusal.KEY_KNOWN_COMPROMISED,
                "The private half of this key is publicly known; make a new key.",
            )
        if self._modulus_digests and isinstance(public_key, rsa.RSAPublicKey):
            text = f"Modulus={public_key.public_numbers().n:X}\n"
            # Not for security: the list was written with SHA-1.
            digest = hashlib.sha1(text.encode("ascii"), usedforsecurity=False).digest()
            if digest[-_MODULUS_DIGEST_OCTETS:] in self._modulus_digests:
                raise Refused(
                    Refusal.KEY_DEBIAN_WEAK,
                    "The key was made by Debian's predictable OpenSSL of 2006 to 2008 "
                    "(CVE-2008-0166); make a new key with a current OpenSSL.",
                )


@cache
def shipped_compromised_keys() -> KnownCompromisedKeys:
    """Return the set that ships with the engine."""
    text = resources.files(__package__).joinpath("known_compromised.txt").read_text("ascii")
    return KnownCompromisedKeys.parse(text.splitlines())
