"""The key algorithms that the platform knows, their names and their signature algorithms."""

from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from pkakey_engine.errors import Refusal, Refused

__all__ = [
    "KeyAlgorithm",
    "PublicKey",
    "SignatureAlgorithm",
    "describe_key",
    "key_algorithm",
    "signature_algorithm",
    "signature_is_valid",
    "spki_der",
]

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


class KeyAlgorithm(StrEnum):
    """The families that a profile may permit; the size of an RSA key is a rule of its own."""

    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    RSA = "rsa"
    ED25519 = "ed25519"


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """How a key signs: its name, its DER AlgorithmIdentifier, and its hash (None: Ed25519)."""

    name: str
    identifier_der: bytes
    hash_algorithm: hashes.SHA256 | hashes.SHA384 | None


# AlgorithmIdentifiers as RFC 5758 section 3.2 (ECDSA: no parameters), RFC 4055 section 5 (RSA:
# NULL parameters) and RFC 8410 section 3 (Ed25519: no parameters) write them.
_ECDSA_SHA256 = SignatureAlgorithm(
    "ecdsa-with-SHA256", bytes.fromhex("300a06082a8648ce3d040302"), hashes.SHA256()
)
_ECDSA_SHA384 = SignatureAlgorithm(
    "ecdsa-with-SHA384", bytes.fromhex("300a06082a8648ce3d040303"), hashes.SHA384()
)
_RSA_SHA256 = SignatureAlgorithm(
    "sha256WithRSAEncryption", bytes.fromhex("300d06092a864886f70d01010b0500"), hashes.SHA256()
)
_ED25519 = SignatureAlgorithm("Ed25519", bytes.fromhex("300506032b6570"), None)


def key_algorithm(public_key: object) -> KeyAlgorithm:
    """Return the family of the key; raises ``Refused`` (key.unsupported-algorithm) for others."""
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        if isinstance(public_key.curve, ec.SECP256R1):
            return KeyAlgorithm.ECDSA_P256
        if isinstance(public_key.curve, ec.SECP384R1):
            return KeyAlgorithm.ECDSA_P384
        found = f"EC key on curve {public_key.curve.name}"
    elif isinstance(public_key, rsa.RSAPublicKey):
        return KeyAlgorithm.RSA
    elif isinstance(public_key, ed25519.Ed25519PublicKey):
        return KeyAlgorithm.ED25519
    else:
        found = type(public_key).__name__.removesuffix("PublicKey") + " key"
    raise Refused(
        Refusal.KEY_UNSUPPORTED_ALGORITHM,
        f"The key is an {found}; make one on P-256 or P-384, with Ed25519, or RSA with "
        "2048 to 4096 bits.",
    )


def signature_algorithm(public_key: PublicKey) -> SignatureAlgorithm:
    """Return how the owner of this public key signs certificates, CRLs and OCSP responses."""
    match key_algorithm(public_key):
        case KeyAlgorithm.ECDSA_P256:
            return _ECDSA_SHA256
        case KeyAlgorithm.ECDSA_P384:
            return _ECDSA_SHA384
        case KeyAlgorithm.RSA:
            return _RSA_SHA256
        case KeyAlgorithm.ED25519:
            return _ED25519


def signature_is_valid(public_key: PublicKey, signature: bytes, data: bytes) -> bool:
    """Return whether ``signature`` is this key's over ``data``, by ``signature_algorithm``."""
    try:
        if isinstance(public_key, ed25519.Ed25519PublicKey):
            public_key.verify(signature, data)
            return True
        digest = signature_algorithm(public_key).hash_algorithm
        if digest is None:
            return False
        if isinstance(public_key, rsa.RSAPublicKey):
            public_key.verify(signature, data, padding.PKCS1v15(), digest)
        else:
            public_key.verify(signature, data, ec.ECDSA(digest))
    except InvalidSignature:
        return False
    return True


def spki_der(public_key: PublicKey) -> bytes:
    """Return the SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) in DER."""
    return public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def describe_key(public_key: PublicKey) -> str:
    """Return the key's kind in words: ``EC P-256``, ``RSA 3072 bits``, ``Ed25519``."""
    match key_algorithm(public_key):
        case KeyAlgorithm.ECDSA_P256:
            return "EC P-256"
        case KeyAlgorithm.ECDSA_P384:
            return "EC P-384"
        case KeyAlgorithm.ED25519:
            return "Ed25519"
        case KeyAlgorithm.RSA:
            bits = public_key.key_size if isinstance(public_key, rsa.RSAPublicKey) else 0
            return f"RSA {bits} bits"
