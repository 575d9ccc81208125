"""The key algorithms of the signer: how each makes a key, signs, and is named in DER."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class Algorithm(StrEnum):
    """The algorithms by the names that the client uses."""

    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    ED25519 = "ed25519"


@dataclass(frozen=True)
class _Facts:
    generate: Callable[[], SigningKey]
    identifier_der: bytes


# AlgorithmIdentifiers. ECDSA: RFC 5758 section 3.2 (no parameters). RSA: RFC 4055 section 5
# (parameters NULL). Ed25519: RFC 8410 section 3 (no parameters).
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_ECDSA_SHA384 = bytes.fromhex("300a06082a8648ce3d040303")
_RSA_SHA256 = bytes.fromhex("300d06092a864886f70d01010b0500")
_ED25519 = bytes.fromhex("300506032b6570")


def _rsa(bits: int) -> Callable[[], SigningKey]:
    return lambda: rsa.generate_private_key(public_exponent=65537, key_size=bits)


_FACTS: Mapping[Algorithm, _Facts] = {
    Algorithm.ECDSA_P256: _Facts(lambda: ec.generate_private_key(ec.SECP256R1()), _ECDSA_SHA256),
    Algorithm.ECDSA_P384: _Facts(lambda: ec.generate_private_key(ec.SECP384R1()), _ECDSA_SHA384),
    Algorithm.RSA_2048: _Facts(_rsa(2048), _RSA_SHA256),
    Algorithm.RSA_3072: _Facts(_rsa(3072), _RSA_SHA256),
    Algorithm.RSA_4096: _Facts(_rsa(4096), _RSA_SHA256),
    Algorithm.ED25519: _Facts(ed25519.Ed25519PrivateKey.generate, _ED25519),
}


def generate(algorithm: Algorithm) -> SigningKey:
    """Return a new key from the system's random source."""
    return _FACTS[algorithm].generate()


def signature_algorithm_der(algorithm: Algorithm) -> bytes:
    """Return the AlgorithmIdentifier of this key's signatures."""
    return _FACTS[algorithm].identifier_der


def algorithm_of(key: object) -> Algorithm | None:
    """Return the algorithm of a private key, or None when the signer has no such keys."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return {"secp256r1": Algorithm.ECDSA_P256, "secp384r1": Algorithm.ECDSA_P384}.get(
            key.curve.name
        )
    if isinstance(key, rsa.RSAPrivateKey):
        return next((item for item in Algorithm if item == f"rsa-{key.key_size}"), None)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return Algorithm.ED25519
    return None


def hash_of_curve(curve: ec.EllipticCurve) -> hashes.HashAlgorithm:
    """Return the hash that a curve signs with: SHA-384 for P-384, else SHA-256."""
    return hashes.SHA384() if curve.name == "secp384r1" else hashes.SHA256()


def sign(key: SigningKey, octets: bytes) -> bytes:
    """Return the key's signature over these octets."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(octets, ec.ECDSA(hash_of_curve(key.curve)))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(octets)


def is_signed_by(public_key_der: bytes, signature: bytes, octets: bytes) -> bool:
    """Return whether this is the key's signature over these octets."""
    public_key = load_der_public_key(public_key_der)
    try:
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            public_key.verify(signature, octets, ec.ECDSA(hash_of_curve(public_key.curve)))
        elif isinstance(public_key, rsa.RSAPublicKey):
            public_key.verify(signature, octets, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(public_key, ed25519.Ed25519PublicKey):
            public_key.verify(signature, octets)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def public_key_der(key: SigningKey) -> bytes:
    """Return the SubjectPublicKeyInfo in DER."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
