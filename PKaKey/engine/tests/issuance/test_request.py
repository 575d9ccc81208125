import base64
import re
from collections.abc import Callable
from functools import partial

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import AttributeOID, NameOID
from pkakey_engine import der
from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.issuance import MAX_CSR_BYTES, parse_csr
from pkakey_engine.names import Name, NameKind
from pkakey_engine.testing import generate_key, make_csr

Expect = Callable[[Refusal, Callable[[], object]], Refused]
CN = NameOID.COMMON_NAME


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"])
@pytest.mark.parametrize("pem", [True, False], ids=["PEM", "DER"])
def test_a_csr_of_each_key_is_read(algorithm: str, pem: bool) -> None:  # noqa: FBT001
    key = generate_key(algorithm)
    request = parse_csr(make_csr(common_name="a.example", private_key=key, pem=pem))
    assert request.common_name == "a.example"
    assert request.public_key == key.public_key()
    assert request.names == ()
    assert parse_csr(request.csr_pem.encode()) == request


def test_names_come_in_order_in_normal_form_and_without_doubles() -> None:
    csr = make_csr(
        dns=["B.example", "a.example", "b.example"], ip=["2001:db8::1"], email=["a@B.example"]
    )
    assert parse_csr(csr).names == (
        Name(NameKind.DNS, "b.example"),
        Name(NameKind.DNS, "a.example"),
        Name(NameKind.IP, "2001:db8::1"),
        Name(NameKind.EMAIL, "a@b.example"),
    )


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda pem: pem.replace(b"BEGIN CERT", b"BEGIN NEW CERT"), id="begin only"),
        pytest.param(lambda pem: pem.replace(b" CERTIFICATE", b" NEW CERTIFICATE"), id="NEW"),
        pytest.param(lambda pem: pem.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(lambda pem: pem.rstrip(b"\n"), id="no line feed at the end"),
        pytest.param(lambda pem: b"\n  \n" + pem + b"\n\n", id="blank lines around"),
        pytest.param(
            lambda pem: b"Certificate Request:\n    Data:\n" + pem, id="openssl req -text before it"
        ),
        pytest.param(lambda pem: b"\xef\xbb\xbf" + pem, id="a byte order mark"),
    ],
)
def test_pem_as_real_programs_write_it_is_read(change: Callable[[bytes], bytes]) -> None:
    assert parse_csr(change(make_csr(common_name="a.example"))).common_name == "a.example"


def test_a_certificate_instead_of_a_csr_is_named_in_the_answer(refused: Expect) -> None:
    pem = make_csr(common_name="a.example").replace(b" REQUEST", b"")
    error = refused(Refusal.CSR_MALFORMED, lambda: parse_csr(pem))
    assert "a CERTIFICATE came" in error.detail


def test_a_private_key_is_answered_with_a_warning(refused: Expect) -> None:
    key = generate_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for data in (key, make_csr(common_name="a.example") + key):
        error = refused(Refusal.CSR_MALFORMED, partial(parse_csr, data))
        assert "private key, which must never be sent" in error.detail


def damaged_pems() -> list[object]:
    pem = make_csr(common_name="a.example")
    body = pem.split(b"\n", 1)[1]
    return [
        pytest.param(pem + pem, id="two blocks"),
        pytest.param(pem + b"-----BEGIN CERTIFICATE REQUEST-----", id="a second block begins"),
        pytest.param(pem + b"and more text", id="text after it"),
        pytest.param(pem[: len(pem) // 2], id="cut in the middle"),
        pytest.param(pem.replace(b"-----END CERTIFICATE REQUEST-----", b""), id="no end"),
        pytest.param(pem.replace(b"END CERT", b"END TRUSTED CERT"), id="ends as something else"),
        pytest.param(body, id="no begin"),
        pytest.param(
            pem.replace(b"-----\nMI", b"-----\nM!", 1), id="a character that is not base64"
        ),
        pytest.param(re.sub(rb"=*\n-----END", b"=====\n-----END", pem), id="too much padding"),
        pytest.param(pem.replace(b"-----\nMI", b"-----\nM=I", 1), id="padding in the middle"),
        pytest.param(pem.replace(b"-----\nMI", b"-----\n", 1), id="two characters lost"),
        pytest.param(b"-----BEGIN CERTIFICATE REQUEST-----\n" * 40, id="only beginnings"),
        pytest.param(
            b"-----BEGIN CERTIFICATE REQUEST----------END CERTIFICATE REQUEST-----", id="no body"
        ),
        pytest.param(pem.decode().encode("utf-16"), id="UTF-16"),
        pytest.param(base64.b64encode(pem), id="base64 twice"),
    ]


@pytest.mark.parametrize("data", damaged_pems())
def test_a_damaged_pem_is_refused(data: bytes, refused: Expect) -> None:
    refused(Refusal.CSR_MALFORMED, lambda: parse_csr(data))


def test_whitespace_without_end_takes_no_time_to_refuse(refused: Expect) -> None:
    # A pattern that backtracks would need minutes here, and the suite's time limit ends it.
    data = b"-----BEGIN CERTIFICATE REQUEST-----" + b" \n" * 30000
    refused(Refusal.CSR_MALFORMED, lambda: parse_csr(data))


def damaged_ders() -> list[object]:
    data = make_csr(common_name="a.example", pem=False)
    outer = der.Reader(data).enter(der.SEQUENCE)
    parts = [encoded for _, encoded in outer.elements()]
    content = b"".join(parts)
    long_form = b"\x30\x83" + len(content).to_bytes(3, "big") + content
    return [
        pytest.param(b"", id="nothing"),
        pytest.param(b" \n ", id="whitespace"),
        pytest.param(b"\x00", id="a NUL octet"),
        pytest.param(data + b"\x00", id="one trailing octet"),
        pytest.param(data + data, id="two requests"),
        pytest.param(data[:-1], id="the last octet lost"),
        pytest.param(long_form, id="a length in more octets than needed, which is BER"),
        pytest.param(b"\x30\x80" + content + b"\x00\x00", id="an indefinite length, which is BER"),
        pytest.param(der.sequence(*parts[:2]), id="no signature"),
        pytest.param(der.sequence(*parts, b"\x05\x00"), id="a fourth field"),
        pytest.param(der.sequence(*reversed(parts)), id="fields turned around"),
        pytest.param(der.sequence(), id="an empty sequence"),
        pytest.param(b"\x31" + data[1:], id="a SET instead of a SEQUENCE"),
        pytest.param(b"\x30\x84\xff\xff\xff\xff", id="a length of four gigabytes"),
        pytest.param(b"\x30\x80" * 5000, id="five thousand nested sequences"),
    ]


@pytest.mark.parametrize("data", damaged_ders())
def test_a_damaged_der_is_refused(data: bytes, refused: Expect) -> None:
    refused(Refusal.CSR_MALFORMED, lambda: parse_csr(data))


def test_a_request_of_64_kib_is_read_and_one_octet_more_is_not(refused: Expect) -> None:
    refused(Refusal.CSR_TOO_LARGE, lambda: parse_csr(b"\x30" * (MAX_CSR_BYTES + 1)))
    refused(Refusal.CSR_MALFORMED, lambda: parse_csr(b"\x30" * MAX_CSR_BYTES))


def resign(data: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The same request info under another key's signature."""
    info, algorithm, _ = [e for _, e in der.Reader(data).enter(der.SEQUENCE).elements()]
    signature = key.sign(info, ec.ECDSA(hashes.SHA256()))
    return der.sequence(info, algorithm, der.bit_string(signature))


def test_a_signature_by_another_key_is_no_proof_of_possession(refused: Expect) -> None:
    data = make_csr(common_name="a.example", pem=False)
    other = ec.generate_private_key(ec.SECP256R1())
    refused(Refusal.CSR_BAD_SIGNATURE, lambda: parse_csr(resign(data, other)))


def test_a_changed_name_breaks_the_signature(refused: Expect) -> None:
    data = make_csr(common_name="good.example", pem=False).replace(b"good", b"evil")
    refused(Refusal.CSR_BAD_SIGNATURE, lambda: parse_csr(data))


def with_algorithm(data: bytes, identifier: str) -> bytes:
    info, _, signature = [e for _, e in der.Reader(data).enter(der.SEQUENCE).elements()]
    return der.sequence(info, bytes.fromhex(identifier), signature)


@pytest.mark.parametrize(
    "identifier",
    [
        pytest.param("300d06092a864886f70d01010b0500", id="RSA for an EC key"),
        pytest.param("300506032b6570", id="Ed25519 for an EC key"),
        pytest.param("300606042a030405", id="unknown"),
    ],
)
def test_a_signature_algorithm_that_does_not_fit_the_key_is_refused(
    identifier: str, refused: Expect
) -> None:
    data = with_algorithm(make_csr(common_name="a.example", pem=False), identifier)
    refused(Refusal.CSR_BAD_SIGNATURE, lambda: parse_csr(data))


def test_a_request_signed_with_sha_1_is_refused(refused: Expect) -> None:
    key = rsa.generate_private_key(65537, 2048)
    data = make_csr(common_name="a.example", private_key=key, pem=False)
    info = der.Reader(data).enter(der.SEQUENCE).element()[1]
    signature = key.sign(info, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - the point.
    identifier = bytes.fromhex("300d06092a864886f70d0101050500")
    weak = der.sequence(info, identifier, der.bit_string(signature))
    refused(Refusal.CSR_WEAK_SIGNATURE, lambda: parse_csr(weak))


def test_a_1024_bit_key_is_refused(refused: Expect) -> None:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - the point.
    data = make_csr(common_name="a.example", private_key=key)
    error = refused(Refusal.KEY_TOO_SMALL, lambda: parse_csr(data))
    assert "1024" in error.detail
    assert "2048" in error.detail


def test_a_point_that_is_not_on_its_curve_is_refused(refused: Expect) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    data = make_csr(common_name="a.example", private_key=key, pem=False)
    numbers = key.public_key().public_numbers()
    y = numbers.y.to_bytes(32, "big")
    off = data.replace(y, y[:-1] + bytes([y[-1] ^ 1]))
    assert off != data
    refused(Refusal.KEY_MALFORMED, lambda: parse_csr(off))


def test_an_elliptic_curve_by_another_name_is_refused(refused: Expect) -> None:
    data = make_csr(common_name="a.example", pem=False)
    p256 = bytes.fromhex("06082a8648ce3d030107")
    other = data.replace(p256, bytes.fromhex("06082a8648ce3d030106"))
    assert other != data
    refused(Refusal.KEY_UNSUPPORTED_ALGORITHM, lambda: parse_csr(other))


def test_a_key_bound_to_rsassa_pss_is_refused(refused: Expect) -> None:
    key = rsa.generate_private_key(65537, 2048)
    data = make_csr(common_name="a.example", private_key=key, pem=False)
    info, algorithm, signature = [e for _, e in der.Reader(data).enter(der.SEQUENCE).elements()]
    fields = [e for _, e in der.Reader(info).enter(der.SEQUENCE).elements()]
    bits = [e for _, e in der.Reader(fields[2]).enter(der.SEQUENCE).elements()][1]
    pss = der.sequence(bytes.fromhex("06092a864886f70d01010a"))
    fields[2] = der.sequence(pss, bits)
    data = der.sequence(der.sequence(*fields), algorithm, signature)
    refused(Refusal.KEY_UNSUPPORTED_ALGORITHM, lambda: parse_csr(data))


@pytest.mark.parametrize(
    ("keyword", "value", "refusal"),
    [
        ("dns", "a_b.example", Refusal.NAME_MALFORMED_DNS),
        ("dns", "*.com", Refusal.NAME_WILDCARD),
        ("ip", "0.0.0.0", Refusal.NAME_MALFORMED_IP),  # noqa: S104 - a name, not a socket.
        ("email", "alice", Refusal.NAME_MALFORMED_EMAIL),
        ("uri", "/relative", Refusal.NAME_MALFORMED_URI),
    ],
)
def test_a_malformed_name_is_refused(
    keyword: str, value: str, refusal: Refusal, refused: Expect
) -> None:
    data = make_csr(**{keyword: [value]})  # type: ignore[arg-type]  # One of four list fields.
    refused(refusal, lambda: parse_csr(data))


def test_a_directory_name_among_the_names_is_refused(refused: Expect) -> None:
    value = x509.SubjectAlternativeName([x509.DirectoryName(x509.Name([]))])
    data = make_csr(extensions=[(value, False)])
    refused(Refusal.NAME_NOT_PERMITTED, lambda: parse_csr(data))


def test_more_than_a_thousand_names_are_refused(refused: Expect) -> None:
    data = make_csr(dns=[f"a{number}.example" for number in range(1001)])
    refused(Refusal.NAME_TOO_MANY, lambda: parse_csr(data))


@pytest.mark.parametrize(
    "text", ["\x00", "a\x00b", "a\nb", "\u202eevil", " a", "a ", " "], ids=ascii
)
def test_a_common_name_with_control_characters_or_outer_spaces_is_refused(
    text: str, refused: Expect
) -> None:
    data = make_csr(subject=x509.Name([x509.NameAttribute(CN, text, _validate=False)]))
    refused(Refusal.SUBJECT_MALFORMED, lambda: parse_csr(data))


def overlong(oid: x509.ObjectIdentifier, text: str) -> x509.Name:
    with pytest.warns(UserWarning, match="length must be"):
        return x509.Name([x509.NameAttribute(oid, text, _validate=False)])


@pytest.mark.parametrize(
    ("oid", "text"),
    [
        pytest.param(CN, "a" * 65, id="a common name of 65 octets"),
        pytest.param(CN, "\u00e4" * 33, id="a common name of 33 letters in 66 octets"),
        pytest.param(CN, "", id="an empty common name"),
        pytest.param(NameOID.COUNTRY_NAME, "DEU", id="a country of three letters"),
    ],
)
def test_an_attribute_beyond_its_bounds_is_refused(
    oid: x509.ObjectIdentifier, text: str, refused: Expect
) -> None:
    data = make_csr(subject=overlong(oid, text))
    refused(Refusal.SUBJECT_MALFORMED, lambda: parse_csr(data))


def test_a_common_name_of_64_octets_is_read() -> None:
    fits = x509.Name([x509.NameAttribute(CN, "a" * 64)])
    assert parse_csr(make_csr(subject=fits)).common_name == "a" * 64


def test_two_common_names_are_refused(refused: Expect) -> None:
    name = x509.Name([x509.NameAttribute(CN, "a.example"), x509.NameAttribute(CN, "b.example")])
    refused(Refusal.SUBJECT_MALFORMED, lambda: parse_csr(make_csr(subject=name)))


def csr_with_attributes(*attributes: bytes) -> bytes:
    """A request with hand-written attributes (already in the order of DER)."""
    key = ec.generate_private_key(ec.SECP256R1())
    data = make_csr(common_name="a.example", private_key=key, pem=False)
    info = der.Reader(data).enter(der.SEQUENCE).element()[1]
    fields = [e for _, e in der.Reader(info).enter(der.SEQUENCE).elements()]
    fields[3] = der.explicit(0, b"".join(attributes))
    return resign(
        der.sequence(
            der.sequence(*fields), b"\x30\x0a" + b"\x06\x08*\x86H\xce=\x04\x03\x02", b"\x03\x01\x00"
        ),
        key,
    )


EXTENSION_REQUEST = bytes.fromhex("06092a864886f70d01090e")
MICROSOFT_REQUEST = bytes.fromhex("060a2b0601040182370201" + "0e")
SAN = der.sequence(
    bytes.fromhex("0603551d11"), der.octet_string(der.sequence(der.tlv(0x82, b"x.example")))
)


def attribute(oid: bytes, *values: bytes) -> bytes:
    return der.sequence(oid, der.tlv(0x31, b"".join(values)))


def test_a_challenge_password_is_passed_over() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(CN, "a.example")]))
        .add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"secret")
        .sign(key, hashes.SHA256())
    )
    request = parse_csr(csr.public_bytes(serialization.Encoding.DER))
    assert request.requested_extensions == ()


def test_microsofts_name_for_the_extension_request_is_understood() -> None:
    data = csr_with_attributes(attribute(MICROSOFT_REQUEST, der.sequence(SAN)))
    assert parse_csr(data).names == (Name(NameKind.DNS, "x.example"),)


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param(
            [attribute(EXTENSION_REQUEST, der.sequence(SAN))] * 2, id="two extension requests"
        ),
        pytest.param(
            [
                attribute(EXTENSION_REQUEST, der.sequence(SAN)),
                attribute(MICROSOFT_REQUEST, der.sequence(SAN)),
            ],
            id="one of each name",
        ),
        pytest.param(
            [attribute(EXTENSION_REQUEST, der.sequence(SAN), der.sequence(SAN))],
            id="two values in one attribute",
        ),
        pytest.param([attribute(EXTENSION_REQUEST)], id="no value"),
        pytest.param([attribute(EXTENSION_REQUEST, der.sequence(SAN, SAN))], id="a doubled SAN"),
        pytest.param([attribute(EXTENSION_REQUEST, b"\x05\x00")], id="no sequence"),
        pytest.param([b"\x05\x00"], id="no attribute"),
        pytest.param(
            [
                attribute(
                    EXTENSION_REQUEST,
                    der.sequence(
                        der.sequence(bytes.fromhex("0603551d11"), der.octet_string(b"\x30\x00"))
                    ),
                )
            ],
            id="an empty SAN",
        ),
        pytest.param(
            [
                attribute(
                    EXTENSION_REQUEST,
                    der.sequence(
                        der.sequence(
                            bytes.fromhex("0603551d11"),
                            der.octet_string(der.sequence(der.tlv(0x87, b"\x01\x02\x03"))),
                        )
                    ),
                )
            ],
            id="an IP address of three octets",
        ),
        pytest.param(
            [
                attribute(
                    EXTENSION_REQUEST,
                    der.sequence(
                        der.sequence(
                            bytes.fromhex("0603551d11"),
                            der.octet_string(der.sequence(der.tlv(0x82, b"\xff\xfe"))),
                        )
                    ),
                )
            ],
            id="a DNS name of octets that are no ASCII",
        ),
    ],
)
def test_a_malformed_or_ambiguous_extension_request_is_refused(
    attributes: list[bytes], refused: Expect
) -> None:
    refused(Refusal.CSR_MALFORMED, lambda: parse_csr(csr_with_attributes(*attributes)))
