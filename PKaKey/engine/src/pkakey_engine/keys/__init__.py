"""Which public keys may be certified, whatever the profile."""

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from pkakey_engine.keys.algorithms import (
    KeyAlgorithm,
    PublicKey,
    SignatureAlgorithm,
    describe_key,
    key_algorithm,
    signature_algorithm,
    signature_is_valid,
    spki_der,
)
from pkakey_engine.keys.compromised import KnownCompromisedKeys, shipped_compromised_keys
from pkakey_engine.keys.ed25519_rules import check_ed25519_key
from pkakey_engine.keys.rsa_rules import MAX_RSA_BITS, MIN_RSA_BITS, check_rsa_key

__all__ = [
    "MAX_RSA_BITS",
    "MIN_RSA_BITS",
    "KeyAlgorithm",
    "KnownCompromisedKeys",
    "PublicKey",
    "SignatureAlgorithm",
    "check_public_key",
    "describe_key",
    "key_algorithm",
    "shipped_compromised_keys",
    "signature_algorithm",
    "signature_is_valid",
    "spki_der",
]


def check_public_key(
    public_key: object, *, compromised: KnownCompromisedKeys | None = None
) -> PublicKey:
    """Return the key when it may be certified; raise ``Refused`` (key.*) otherwise.

    ``compromised`` is added to the set that ships with the engine. EC points need no rule here:
    loading one into OpenSSL proves that it is on its curve and not at infinity, and the cofactor of
    P-256 and P-384 is 1.
    """
    key_algorithm(public_key)
    if not isinstance(
        public_key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey
    ):  # pragma: no cover - key_algorithm has refused it; this tells the type checker.
        raise TypeError(type(public_key).__name__)
    if isinstance(public_key, rsa.RSAPublicKey):
        check_rsa_key(public_key)
    elif isinstance(public_key, ed25519.Ed25519PublicKey):
        check_ed25519_key(public_key)
    digest = hashlib.sha256(spki_der(public_key)).digest()
    shipped_compromised_keys().check(public_key, digest)
    if compromised is not None:
        compromised.check(public_key, digest)
    return public_key
