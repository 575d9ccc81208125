"""The keys that the running signer makes, and the drop-in key that forwards to it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from pkakey_signers.client import SignerClient, SignerRefused
from pkakey_signers.private_keys import UnsupportedOperation
from pkakey_signers.testing.authorities import (
    NOW,
    Authority,
    assemble,
    key_usage,
    make_root,
    name,
)
from pkakey_signers.testing.process import IntentDatabase, SignerProcess


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(SignerRefused) as caught:
        call()
    assert caught.value.detail.endswith((".", ")"))
    return str(caught.value.code)


def test_generating_a_key_again_gives_the_same_key_also_after_a_restart(
    signer: SignerProcess, client: SignerClient
) -> None:
    key_id = uuid4()

    def generate(algorithm: str = "ecdsa-p256", purpose: str = "authority") -> bytes:
        return client.generate_key(key_id=key_id, algorithm=algorithm, purpose=purpose)

    public = generate()
    assert generate() == public
    signer.restart()
    assert generate() == public
    assert client.public_key(key_id=key_id) == public
    assert refused(lambda: generate("ecdsa-p384")) == "key.differs"
    assert refused(lambda: generate(purpose="ocsp-responder")) == "key.differs"


@pytest.mark.parametrize(
    ("algorithm", "purpose", "code"),
    [
        ("rsa-1024", "authority", "key.unsupported-algorithm"),
        ("", "authority", "key.unsupported-algorithm"),
        ("ECDSA-P256", "authority", "key.unsupported-algorithm"),
        ("ecdsa-p256", "everything", "request.malformed"),
        ("ecdsa-p256", "", "request.malformed"),
    ],
)
def test_a_key_of_unknown_algorithm_or_purpose_is_not_made(
    client: SignerClient, algorithm: str, purpose: str, code: str
) -> None:
    def generate() -> bytes:
        return client.generate_key(key_id=uuid4(), algorithm=algorithm, purpose=purpose)

    assert refused(generate) == code


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ecdsa-p384", "rsa-2048", "ed25519"])
def test_the_drop_in_key_serves_cryptographys_builders(
    client: SignerClient, intent_database: IntentDatabase, algorithm: str
) -> None:
    root = make_root(client, intent_database, algorithm=algorithm)
    tbs = root.tbs(serial_number=99)
    intent_id = intent_database.record(tbs, root.key_id)
    key = client.private_key(key_id=root.key_id, kind="certificate", intent_id=intent_id)
    algorithm_of_builder: Any = None if algorithm == "ed25519" else hashes.SHA256()
    if algorithm == "ecdsa-p384":
        algorithm_of_builder = hashes.SHA384()
    certificate = (
        x509.CertificateBuilder()
        .issuer_name(root.name)
        .subject_name(name("leaf"))
        .public_key(x509.load_der_x509_certificate(assembled(root, tbs)).public_key())
        .serial_number(99)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=90))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(ca=False), critical=True)
        .sign(key, algorithm_of_builder)
    )
    certificate.verify_directly_issued_by(root.certificate)
    with pytest.raises(UnsupportedOperation):
        key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    for attribute in ("private_numbers", "decrypt", "exchange", "private_bytes_raw"):
        if hasattr(key, attribute):
            with pytest.raises(UnsupportedOperation):
                getattr(key, attribute)()


def assembled(root: Authority, tbs: bytes) -> bytes:
    return assemble(tbs, root.sign(tbs)).public_bytes(Encoding.DER)


def test_the_drop_in_key_refuses_other_algorithms_than_its_own(
    client: SignerClient, intent_database: IntentDatabase, root: Authority
) -> None:
    key = client.private_key(key_id=root.key_id, kind="certificate", intent_id=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    for wrong in (hashes.SHA1(), hashes.SHA384()):  # noqa: S303
        with pytest.raises(UnsupportedOperation):
            key.sign(b"octets", ec.ECDSA(wrong))
    rsa_root = make_root(client, intent_database, algorithm="rsa-2048", subject=name("RSA"))
    rsa_key = client.private_key(key_id=rsa_root.key_id, kind="certificate", intent_id=None)
    assert isinstance(rsa_key, rsa.RSAPrivateKey)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    with pytest.raises(UnsupportedOperation):
        rsa_key.sign(b"octets", pss, hashes.SHA256())
    with pytest.raises(UnsupportedOperation):
        rsa_key.sign(b"octets", padding.PKCS1v15(), hashes.SHA512())
