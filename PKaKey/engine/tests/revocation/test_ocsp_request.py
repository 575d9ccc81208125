from collections.abc import Callable
from datetime import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from pkakey_engine import der
from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.issuance import Issuer
from pkakey_engine.revocation import MAX_OCSP_REQUEST_BYTES, CertID, parse_ocsp_request
from pkakey_engine.testing import AuthorityForTests, make_csr, make_root_authority

Expect = Callable[[Refusal, Callable[[], object]], Refused]
NONCE_OID = bytes.fromhex("06092b0601050507300102")


@pytest.fixture(scope="session")
def leaf(ca: AuthorityForTests) -> x509.Certificate:
    return ca.issue(make_csr(dns=["a.example"]), now=ca.certificate.not_valid_before_utc)


def ask(
    leaf: x509.Certificate,
    issuer: x509.Certificate,
    algorithm: hashes.HashAlgorithm,
    nonce: bytes | None = None,
) -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, algorithm)
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    "algorithm",
    [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()],  # noqa: S303 - RFC 6960.
    ids=lambda algorithm: algorithm.name,
)
def test_a_request_of_each_hash_is_read_and_names_its_issuer(
    ca: AuthorityForTests,
    root: AuthorityForTests,
    leaf: x509.Certificate,
    algorithm: hashes.HashAlgorithm,
) -> None:
    request = parse_ocsp_request(ask(leaf, ca.certificate, algorithm))
    (certificate,) = request.certificates
    assert certificate.serial_number == leaf.serial_number
    assert certificate.is_of(ca.issuer)
    assert not certificate.is_of(root.issuer)
    assert request.nonce is None
    assert CertID.of(ca.issuer, leaf.serial_number, algorithm.name) == certificate


def test_an_issuer_of_the_same_name_with_another_key_is_another_issuer(
    ca: AuthorityForTests, leaf: x509.Certificate, now: datetime
) -> None:
    twin_key = make_root_authority(now=now).issuer.public_key
    twin = Issuer.self_signed(ca.certificate.subject, twin_key)
    (certificate,) = parse_ocsp_request(ask(leaf, ca.certificate, hashes.SHA256())).certificates
    assert not certificate.is_of(twin)


@pytest.mark.parametrize("size", [1, 16, 32, 128])
def test_a_nonce_of_1_to_128_octets_is_kept(
    ca: AuthorityForTests, leaf: x509.Certificate, size: int
) -> None:
    data = ask(leaf, ca.certificate, hashes.SHA256(), b"n" * size)
    assert parse_ocsp_request(data).nonce == b"n" * size


@pytest.mark.parametrize("size", [0, 129, 1000])
def test_a_nonce_of_any_other_length_is_refused(
    ca: AuthorityForTests, leaf: x509.Certificate, refused: Expect, size: int
) -> None:
    data = ask(leaf, ca.certificate, hashes.SHA256(), b"n" * size)
    refused(Refusal.OCSP_NONCE, lambda: parse_ocsp_request(data))


def cert_id(serial: bytes = b"\x02\x01\x05", oid: str = "06052b0e03021a", size: int = 20) -> bytes:
    digest = der.octet_string(b"\x11" * size)
    return der.sequence(der.sequence(bytes.fromhex(oid), b"\x05\x00"), digest, digest, serial)


def single(encoded: bytes, *more: bytes) -> bytes:
    return der.sequence(encoded, *more)


def message(*singles: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    return der.sequence(der.sequence(before, der.sequence(*singles), after))


def extensions(*encoded: bytes) -> bytes:
    return der.explicit(2, der.sequence(*encoded))


NONCE = der.sequence(NONCE_OID, der.octet_string(der.octet_string(b"n" * 16)))
UNKNOWN = bytes.fromhex("06032a0304")
ONE = single(cert_id())


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(message(ONE), id="plain"),
        pytest.param(message(*[ONE] * 16), id="sixteen certificates"),
        pytest.param(
            message(single(cert_id(), der.explicit(0, b"\x30\x00"))), id="single extensions"
        ),
        pytest.param(message(ONE, before=der.explicit(1, b"\x82\x01a")), id="a requestor's name"),
        pytest.param(
            message(ONE, after=extensions(der.sequence(UNKNOWN, der.octet_string(b"")))),
            id="an unknown extension",
        ),
        pytest.param(
            der.sequence(der.sequence(der.sequence(ONE)), der.explicit(0, b"\x30\x00")),
            id="a signature, which is passed over",
        ),
    ],
)
def test_what_rfc_6960_allows_is_read(data: bytes) -> None:
    assert parse_ocsp_request(data).certificates[0].serial_number == 5


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x30\x00", id="an empty sequence"),
        pytest.param(b"GET / HTTP/1.1\r\n", id="not DER at all"),
        pytest.param(message(), id="no certificate"),
        pytest.param(message(ONE) + b"\x00", id="a trailing octet"),
        pytest.param(message(ONE)[:-1], id="the last octet lost"),
        pytest.param(b"\x30\x80" + message(ONE)[2:] + b"\x00\x00", id="an indefinite length"),
        pytest.param(b"\x30\x81\x10" + message(ONE)[2:18], id="a length in too many octets"),
        pytest.param(b"\x30\x85\x00\x00\x00\x00\x01a", id="a length of five octets"),
        pytest.param(b"\x3f" + message(ONE)[1:], id="a tag in the long form"),
        pytest.param(b"\x31" + message(ONE)[1:], id="a SET"),
        pytest.param(message(ONE, before=der.explicit(0, b"\x02\x01\x01")), id="version 2"),
        pytest.param(message(ONE, before=der.explicit(0, b"\x02\x01\x80")), id="version -128"),
        pytest.param(message(ONE, after=b"\x05\x00"), id="a field too many"),
        pytest.param(message(single(cert_id(), b"\x05\x00")), id="a foreign field in a single"),
        pytest.param(message(single(cert_id(b"\x02\x01\x85"))), id="a negative serial"),
        pytest.param(message(single(cert_id(b"\x02\x02\x00\x05"))), id="a padded serial"),
        pytest.param(message(single(cert_id(b"\x02\x00"))), id="an empty serial"),
        pytest.param(
            message(single(cert_id(der.tlv(2, b"\x01" * 21)))), id="a serial of 21 octets"
        ),
        pytest.param(message(single(cert_id(oid="06082a864886f70d0205"))), id="MD5"),
        pytest.param(message(single(cert_id(size=19))), id="a hash of 19 octets"),
        pytest.param(message(single(cert_id(oid="0609608648016503040201"))), id="a short SHA-256"),
        pytest.param(
            message(ONE, after=extensions(der.sequence(UNKNOWN, b"\x01\x01\xff", b"\x04\x00"))),
            id="an unknown critical extension",
        ),
        pytest.param(message(ONE, after=extensions(NONCE, NONCE)), id="two nonces"),
        pytest.param(
            message(ONE, after=extensions(der.sequence(NONCE_OID, der.octet_string(b"raw")))),
            id="a nonce that is no OCTET STRING",
        ),
        pytest.param(
            message(ONE, after=extensions(der.sequence(NONCE_OID))), id="a nonce without value"
        ),
    ],
)
def test_a_malformed_request_is_refused(data: bytes, refused: Expect) -> None:
    refused(Refusal.OCSP_MALFORMED, lambda: parse_ocsp_request(data))


def test_seventeen_certificates_are_too_many(refused: Expect) -> None:
    refused(Refusal.OCSP_TOO_MANY, lambda: parse_ocsp_request(message(*[ONE] * 17)))


def test_more_than_4_kib_are_not_even_looked_at(refused: Expect) -> None:
    junk = b"\x30" * (MAX_OCSP_REQUEST_BYTES + 1)
    refused(Refusal.OCSP_TOO_LARGE, lambda: parse_ocsp_request(junk))
