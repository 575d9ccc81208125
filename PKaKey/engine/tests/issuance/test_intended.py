from datetime import datetime

import pytest
from cryptography import x509
from pkakey_engine.errors import SignedBytesDiffer
from pkakey_engine.issuance import (
    IntendedCertificate,
    complete_certificate,
    complete_certificate_from_parts,
    intend_certificate,
    parse_csr,
    shipped_profile,
)
from pkakey_engine.issuance.capture import CapturingKeyError, _CapturingEC
from pkakey_engine.testing import AuthorityForTests, SoftSigner, make_csr


@pytest.fixture
def intended(ca: AuthorityForTests, now: datetime) -> IntendedCertificate:
    return intend_certificate(
        request=parse_csr(make_csr(dns=["a.example"])),
        profile=shipped_profile("tls-server"),
        issuer=ca.issuer,
        now=now,
    )


def test_the_certificate_holds_exactly_the_intended_bytes(
    ca: AuthorityForTests, intended: IntendedCertificate
) -> None:
    signature = ca.signer.sign(intended.to_be_signed)
    data = complete_certificate(intended, signature)
    certificate = x509.load_der_x509_certificate(data)
    assert certificate.tbs_certificate_bytes == intended.tbs_certificate
    assert certificate.signature == signature
    parts = complete_certificate_from_parts(
        intended.tbs_certificate,
        signature,
        ca.certificate.public_key(),  # type: ignore[arg-type]
    )
    assert parts == data


def test_a_signature_that_is_not_over_the_intended_bytes_raises_the_alarm(
    ca: AuthorityForTests, intended: IntendedCertificate
) -> None:
    right = ca.signer.sign(intended.to_be_signed)
    wrong = [
        b"",
        b"\x00",
        right[:-1],
        right + b"\x00",
        bytes([right[0]]) + right[1:-1] + bytes([right[-1] ^ 1]),
        ca.signer.sign(intended.to_be_signed + b"\x00"),
        SoftSigner.generate(for_tests=True).sign(intended.to_be_signed),
        SoftSigner.generate("ed25519", for_tests=True).sign(intended.to_be_signed),
    ]
    for signature in wrong:
        with pytest.raises(SignedBytesDiffer):
            complete_certificate(intended, signature)


def test_stored_bytes_that_changed_raise_the_alarm_even_when_they_are_signed(
    ca: AuthorityForTests, intended: IntendedCertificate
) -> None:
    key = ca.issuer.public_key
    signature = ca.signer.sign(intended.to_be_signed)
    changed = intended.tbs_certificate.replace(b"a.example", b"b.example")
    with pytest.raises(SignedBytesDiffer):
        complete_certificate_from_parts(changed, signature, key)
    for junk in (b"junk", intended.tbs_certificate + b"\x05\x00", b"\x30\x00"):
        with pytest.raises(SignedBytesDiffer):
            complete_certificate_from_parts(junk, ca.signer.sign(junk), key)


def test_a_capturing_key_has_no_secret(ca: AuthorityForTests) -> None:
    key = _CapturingEC(ca.issuer.public_key)
    for ask in (key.private_bytes, key.private_numbers, key.exchange):
        with pytest.raises(CapturingKeyError):
            ask()


def test_the_preview_tells_every_extension_in_words(intended: IntendedCertificate) -> None:
    words = {extension.name: extension for extension in intended.describe()}
    assert words["Subject alternative name"].lines == ("DNS name: a.example",)
    assert words["Subject alternative name"].critical
    assert words["Basic constraints"].lines == ("Not an authority",)
    assert words["Extended key usage"].lines == ("TLS server authentication",)
    assert words["CRL distribution points"].lines == ("URI: http://pki.test/crl/1.crl",)
    assert "OCSP: http://pki.test/ocsp" in words["Authority information access"].lines
    assert len(words) == len(list(intended.draft().extensions))
