"""Whatever the octets are, the parsers answer or refuse; they never fail."""

from datetime import UTC, datetime

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pkakey_engine import der
from pkakey_engine.errors import Refused
from pkakey_engine.issuance import CertificateRequest, intend_certificate, parse_csr
from pkakey_engine.issuance.profile import shipped_profile
from pkakey_engine.names import Name, NameKind, parse_name
from pkakey_engine.revocation import OCSPRequest, parse_ocsp_request
from pkakey_engine.testing import generate_key, make_csr, make_root_authority

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
RSA_KEY = generate_key("rsa-2048")
CSRS = [
    make_csr(common_name="a.example", dns=["a.example", "*.b.example"], pem=False),
    make_csr(common_name="a", ip=["192.0.2.1"], uri=["urn:a:b"], email=["a@b.example"], pem=False),
    make_csr(common_name="a.example", private_key=generate_key("ed25519"), pem=False),
    make_csr(
        dns=["a.example"],
        private_key=RSA_KEY,
        extensions=[(x509.BasicConstraints(ca=True, path_length=1), True)],
        pem=False,
    ),
]
PEMS = [make_csr(common_name="a.example", dns=["b.example"])]
OCSP = [
    der.sequence(
        der.sequence(
            der.sequence(
                der.sequence(
                    der.sequence(
                        der.sequence(bytes.fromhex("06052b0e03021a"), b"\x05\x00"),
                        der.octet_string(b"\x11" * 20),
                        der.octet_string(b"\x22" * 20),
                        der.integer(5),
                    )
                )
            ),
            der.explicit(
                2,
                der.sequence(
                    der.sequence(
                        bytes.fromhex("06092b0601050507300102"),
                        der.octet_string(der.octet_string(b"n" * 16)),
                    )
                ),
            ),
        )
    )
]
ROOT = make_root_authority(now=NOW)
FAST = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=300)


@st.composite
def mutated(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """A sample with a few octets changed, cut, doubled or put in."""
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 4))):
        if not data:
            break
        place = draw(st.integers(0, len(data) - 1))
        match draw(st.integers(0, 4)):
            case 0:
                data[place] = draw(st.integers(0, 255))
            case 1:
                data[place] ^= 1 << draw(st.integers(0, 7))
            case 2:
                del data[place:]
            case 3:
                end = draw(st.integers(place, min(len(data), place + 40)))
                data[place:place] = data[place:end]
            case _:
                data[place:place] = draw(st.binary(min_size=1, max_size=8))
    return bytes(data)


def csr_outcome(data: bytes) -> None:
    try:
        request = parse_csr(data)
    except Refused:
        return
    assert isinstance(request, CertificateRequest)
    # What is read can be decided upon without a failure, too.
    for profile in ("tls-server", "tls-client"):
        try:
            intend_certificate(
                request=request, profile=shipped_profile(profile), issuer=ROOT.issuer, now=NOW
            )
        except Refused:
            continue


@FAST
@given(st.binary(max_size=2000))
def test_random_octets_are_refused_as_a_csr(data: bytes) -> None:
    with pytest.raises(Refused):
        parse_csr(data)


@FAST
@given(mutated(CSRS))
def test_a_mutated_csr_is_read_or_refused(data: bytes) -> None:
    csr_outcome(data)


@FAST
@given(mutated(PEMS))
def test_a_mutated_pem_is_read_or_refused(data: bytes) -> None:
    csr_outcome(data)


@pytest.mark.parametrize("sample", CSRS, ids=["P-256", "names", "Ed25519", "RSA"])
def test_every_truncation_of_a_csr_is_refused(sample: bytes) -> None:
    for size in range(len(sample)):
        with pytest.raises(Refused):
            parse_csr(sample[:size])


def resigned(info: bytes) -> bytes:
    """A validly signed request around any info, so that the fuzz gets past the signature."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    assert isinstance(RSA_KEY, rsa.RSAPrivateKey)
    signature = RSA_KEY.sign(info, padding.PKCS1v15(), hashes.SHA256())
    algorithm = bytes.fromhex("300d06092a864886f70d01010b0500")
    return der.sequence(info, algorithm, der.bit_string(signature))


INFOS = [
    der.Reader(make_csr(private_key=RSA_KEY, pem=False, **more)).enter(der.SEQUENCE).element()[1]
    for more in (
        {"common_name": "a.example", "dns": ["a.example", "*.b.example"]},
        {"common_name": "a", "ip": ["192.0.2.1"], "uri": ["urn:a:b"], "email": ["a@b.example"]},
        {"extensions": [(x509.BasicConstraints(ca=True, path_length=1), True)]},
    )
]


@FAST
@given(mutated(INFOS))
def test_a_mutated_but_validly_signed_request_is_read_or_refused(info: bytes) -> None:
    csr_outcome(resigned(info))


@FAST
@given(st.text(max_size=80), st.text(max_size=70), st.text(max_size=70))
def test_any_text_as_a_name_is_decided_upon(common_name: str, dns: str, email: str) -> None:
    def string(tag: int, text: str) -> bytes:
        return der.tlv(tag, text.encode("utf-8", "surrogatepass"))

    base = der.Reader(INFOS[0]).enter(der.SEQUENCE)
    fields = [encoded for _, encoded in base.elements()]
    attribute = der.sequence(bytes.fromhex("0603550403"), string(0x0C, common_name))
    san = der.sequence(string(0x82, dns), string(0x81, email))
    extension = der.sequence(bytes.fromhex("0603551d11"), der.octet_string(san))
    wish = der.sequence(
        bytes.fromhex("06092a864886f70d01090e"), der.tlv(0x31, der.sequence(extension))
    )
    fields[1] = der.sequence(der.tlv(0x31, attribute))
    fields[3] = der.explicit(0, wish)
    csr_outcome(resigned(der.sequence(*fields)))


@FAST
@given(st.binary(max_size=300))
def test_random_octets_are_refused_as_an_ocsp_request(data: bytes) -> None:
    with pytest.raises(Refused):
        parse_ocsp_request(data)


@FAST
@given(mutated(OCSP))
def test_a_mutated_ocsp_request_is_read_or_refused(data: bytes) -> None:
    try:
        request = parse_ocsp_request(data)
    except Refused:
        return
    assert isinstance(request, OCSPRequest)


def test_every_truncation_of_an_ocsp_request_is_refused() -> None:
    for size in range(len(OCSP[0])):
        with pytest.raises(Refused):
            parse_ocsp_request(OCSP[0][:size])


@FAST
@given(st.sampled_from(NameKind), st.text(max_size=300))
def test_any_text_is_a_name_or_refused_and_the_normal_form_stays(kind: NameKind, text: str) -> None:
    try:
        name = parse_name(kind, text)
    except Refused:
        return
    assert parse_name(kind, name.value) == name
    assert name.value.isascii()
    assert isinstance(name, Name)
