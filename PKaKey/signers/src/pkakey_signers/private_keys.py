"""Drop-in private keys: ``cryptography``'s abstract classes, with the key itself elsewhere.

``CertificateBuilder.sign`` and its siblings take these, call ``sign`` once with exactly the
to-be-signed bytes, and never learn that another process signed. Whatever would need the key's own
octets raises ``UnsupportedOperation``.
"""

from collections.abc import Callable
from typing import Any, NoReturn, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import load_der_public_key

from pkakey_signers.algorithms import hash_of_curve

SignFunction = Callable[[bytes], bytes]


class UnsupportedOperation(TypeError):  # noqa: N818  # As cryptography's UnsupportedAlgorithm.
    """A key that lives in the signer does not do this."""


def private_key_at_the_signer(
    public_key_der: bytes, sign: SignFunction
) -> CertificateIssuerPrivateKeyTypes:
    """Return the drop-in of the right class for this SubjectPublicKeyInfo."""
    public_key = load_der_public_key(public_key_der)
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return SignerEllipticCurvePrivateKey(public_key, sign)
    if isinstance(public_key, rsa.RSAPublicKey):
        return SignerRSAPrivateKey(public_key, sign)
    if isinstance(public_key, ed25519.Ed25519PublicKey):
        return SignerEd25519PrivateKey(public_key, sign)
    raise UnsupportedOperation(f"The signer has no keys of the type {type(public_key).__name__}.")


def _refuse(what: str) -> NoReturn:
    raise UnsupportedOperation(f"This key lives in the signer, which does not {what}.")


class SignerEllipticCurvePrivateKey(ec.EllipticCurvePrivateKey):
    """An EC key in the signer. Signs with ECDSA and the hash that belongs to its curve."""

    def __init__(self, public_key: ec.EllipticCurvePublicKey, sign: SignFunction) -> None:
        self._public_key = public_key
        self._sign = sign

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:  # noqa: ANN401  # As the base class.
        """Return the DER signature that the signer made over ``data``."""
        expected = hash_of_curve(self.curve)
        if (
            not isinstance(signature_algorithm, ec.ECDSA)
            or isinstance(signature_algorithm.algorithm, Prehashed)
            or signature_algorithm.algorithm.name != expected.name
        ):
            _refuse(f"sign with anything but ECDSA and {expected.name} for {self.curve.name}")
        return self._sign(bytes(data))

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the public key."""
        return self._public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        """The key's curve."""
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        """Bits of the curve."""
        return self._public_key.key_size

    def exchange(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Refuse: an authority's key agrees on nothing."""
        _refuse("exchange keys")

    def private_numbers(self) -> NoReturn:
        """Refuse: the key stays where it is."""
        _refuse("show private numbers")

    def private_bytes(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Refuse: the key stays where it is."""
        _refuse("export keys")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: dict[int, object]) -> Self:
        return self


class SignerRSAPrivateKey(rsa.RSAPrivateKey):
    """An RSA key in the signer. Signs with PKCS #1 v1.5 and SHA-256."""

    def __init__(self, public_key: rsa.RSAPublicKey, sign: SignFunction) -> None:
        self._public_key = public_key
        self._sign = sign

    def sign(self, data: Any, padding: Any, algorithm: Any) -> bytes:  # noqa: ANN401  # As the base class.
        """Return the signature that the signer made over ``data``."""
        if not isinstance(padding, _PKCS1v15) or not isinstance(algorithm, hashes.SHA256):
            _refuse("sign with anything but PKCS #1 v1.5 and SHA-256 for RSA")
        return self._sign(bytes(data))

    def public_key(self) -> rsa.RSAPublicKey:
        """Return the public key."""
        return self._public_key

    @property
    def key_size(self) -> int:
        """Bits of the modulus."""
        return self._public_key.key_size

    def decrypt(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Refuse: an authority's key decrypts nothing."""
        _refuse("decrypt")

    def private_numbers(self) -> NoReturn:
        """Refuse: the key stays where it is."""
        _refuse("show private numbers")

    def private_bytes(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Refuse: the key stays where it is."""
        _refuse("export keys")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: dict[int, object]) -> Self:
        return self


class SignerEd25519PrivateKey(ed25519.Ed25519PrivateKey):
    """An Ed25519 key in the signer."""

    def __init__(self, public_key: ed25519.Ed25519PublicKey, sign: SignFunction) -> None:
        self._public_key = public_key
        self._sign = sign

    def sign(self, data: Any) -> bytes:  # noqa: ANN401  # As the base class.
        """Return the signature that the signer made over ``data``."""
        return self._sign(bytes(data))

    def public_key(self) -> ed25519.Ed25519PublicKey:
        """Return the public key."""
        return self._public_key

    def private_bytes_raw(self) -> NoReturn:
        """Refuse: the key stays where it is."""
        _refuse("export keys")

    def private_bytes(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Refuse: the key stays where it is."""
        _refuse("export keys")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: dict[int, object]) -> Self:
        return self


_PKCS1v15 = padding.PKCS1v15
