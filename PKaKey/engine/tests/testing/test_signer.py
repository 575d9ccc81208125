import pytest
from pkakey_engine.keys import signature_is_valid
from pkakey_engine.ports import Signer
from pkakey_engine.testing import NotForProductionWarning, SoftSigner, generate_key


def test_a_soft_signer_warns_that_it_is_not_for_production() -> None:
    with pytest.warns(NotForProductionWarning, match="not for production"):
        SoftSigner(generate_key())
    with pytest.warns(NotForProductionWarning):
        SoftSigner.generate()


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"])
def test_a_soft_signers_signature_is_valid_for_its_bytes_and_no_others(algorithm: str) -> None:
    signer: Signer = SoftSigner.generate(algorithm, for_tests=True)
    other: Signer = SoftSigner.generate(algorithm, for_tests=True)
    signature = signer.sign(b"these bytes")
    assert signature_is_valid(signer.public_key, signature, b"these bytes")
    assert not signature_is_valid(signer.public_key, signature, b"those bytes")
    assert not signature_is_valid(signer.public_key, signature + b"\x00", b"these bytes")
    assert not signature_is_valid(signer.public_key, b"", b"these bytes")
    assert not signature_is_valid(other.public_key, signature, b"these bytes")
