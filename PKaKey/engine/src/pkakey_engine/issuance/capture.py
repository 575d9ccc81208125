"""How to-be-signed bytes are had: a key that keeps what it is asked to sign.

``cryptography``'s builder asks the issuer's private key for its public half and for one signature
over exactly the TBSCertificate. A subclass of its abstract keys answers both, keeps the bytes and
returns a placeholder, so that no certificate DER is written by hand.
"""

from typing import NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from pkakey_engine import der
from pkakey_engine.keys import PublicKey, signature_algorithm

__all__ = ["capture_tbs_certificate"]

_PLACEHOLDER = b"\x00"


class CapturingKeyError(TypeError):
    """Something other than a placeholder signature was asked of a capturing key."""


class _Capturing:
    """What the three kinds of capturing key share."""

    def __init__(self, public_key: PublicKey) -> None:
        self._public_key = public_key
        self.captured: list[bytes] = []

    def sign(self, data: bytes, *_: object) -> bytes:
        self.captured.append(bytes(data))
        return _PLACEHOLDER

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise CapturingKeyError("A capturing key holds no private key.")

    private_bytes = private_bytes_raw = private_numbers = exchange = decrypt = _refuse

    def public_key(self) -> PublicKey:
        return self._public_key

    @property
    def key_size(self) -> int:
        if isinstance(self._public_key, ed25519.Ed25519PublicKey):
            return 256
        return self._public_key.key_size

    @property
    def curve(self) -> ec.EllipticCurve:
        if isinstance(self._public_key, ec.EllipticCurvePublicKey):
            return self._public_key.curve
        return self._refuse()

    def __copy__(self) -> "_Capturing":
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> "_Capturing":
        return self


class _CapturingEC(_Capturing, ec.EllipticCurvePrivateKey):  # type: ignore[misc]  # Shared methods.
    pass


class _CapturingRSA(_Capturing, rsa.RSAPrivateKey):  # type: ignore[misc]  # Shared methods.
    pass


class _CapturingEd25519(_Capturing, ed25519.Ed25519PrivateKey):  # type: ignore[misc]  # Shared.
    pass


def capture_tbs_certificate(
    builder: x509.CertificateBuilder, issuer_public_key: PublicKey
) -> tuple[bytes, x509.Certificate]:
    """Return the exact TBSCertificate, and the draft with a placeholder where the signature goes.

    The draft is for lint and description only; its signature is one zero octet.
    """
    key: _CapturingEC | _CapturingRSA | _CapturingEd25519
    if isinstance(issuer_public_key, ec.EllipticCurvePublicKey):
        key = _CapturingEC(issuer_public_key)
    elif isinstance(issuer_public_key, rsa.RSAPublicKey):
        key = _CapturingRSA(issuer_public_key)
    else:
        key = _CapturingEd25519(issuer_public_key)
    draft = builder.sign(key, signature_algorithm(issuer_public_key).hash_algorithm)
    (tbs,) = key.captured
    return tbs, draft


def draft_certificate(tbs: bytes, algorithm_identifier_der: bytes) -> x509.Certificate:
    """Return the to-be-signed bytes as a certificate with a placeholder signature, for reading."""
    return x509.load_der_x509_certificate(
        der.sequence(tbs, algorithm_identifier_der, der.bit_string(_PLACEHOLDER))
    )
