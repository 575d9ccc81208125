"""A signer that keeps its key in memory."""

import warnings

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from pkakey_engine.keys import PublicKey, signature_algorithm

__all__ = ["NotForProductionWarning", "PrivateKey", "SoftSigner", "generate_key"]

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class NotForProductionWarning(UserWarning):
    """A stand-in for tests is at work."""


def generate_key(algorithm: str = "ecdsa-p256") -> PrivateKey:
    """Return a fresh key: ecdsa-p256, ecdsa-p384, ed25519 or rsa-<bits>."""
    if algorithm == "ecdsa-p256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "ecdsa-p384":
        return ec.generate_private_key(ec.SECP384R1())
    if algorithm == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, int(algorithm.removeprefix("rsa-")))


class SoftSigner:
    """Signs anything with a key in memory; says so once by ``NotForProductionWarning``."""

    def __init__(self, private_key: PrivateKey, *, for_tests: bool = False) -> None:
        if not for_tests:
            warnings.warn(
                "SoftSigner keeps its key in memory; not for production.",
                NotForProductionWarning,
                stacklevel=2,
            )
        self._private_key = private_key

    @classmethod
    def generate(cls, algorithm: str = "ecdsa-p256", *, for_tests: bool = False) -> "SoftSigner":
        """Return a signer with a fresh key."""
        return cls(generate_key(algorithm), for_tests=for_tests)

    @property
    def private_key(self) -> PrivateKey:
        """The key itself, for tests that hand it to other programs."""
        return self._private_key

    @property
    def public_key(self) -> PublicKey:
        """The key's public half."""
        return self._private_key.public_key()

    def sign(self, to_be_signed: bytes) -> bytes:
        """Return the signature by the key's one signature algorithm."""
        key = self._private_key
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key.sign(to_be_signed)
        digest = signature_algorithm(key.public_key()).hash_algorithm
        if digest is None:
            raise TypeError("Only Ed25519 signs without a hash.")
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(to_be_signed, padding.PKCS1v15(), digest)
        return key.sign(to_be_signed, ec.ECDSA(digest))
