import pytest
from cryptography import x509
from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.names import Name, NameKind, name_from_general_name, parse_name


@pytest.mark.parametrize(
    ("kind", "text", "normal"),
    [
        (NameKind.IP, "192.0.2.1", "192.0.2.1"),
        (NameKind.IP, "2001:0DB8:0:0::1", "2001:db8::1"),
        (NameKind.IP, "127.0.0.1", "127.0.0.1"),
        (NameKind.EMAIL, "Alice.B+x@Example.COM", "Alice.B+x@example.com"),
        (NameKind.EMAIL, "a@müller.example", "a@xn--mller-kva.example"),
        (NameKind.URI, "spiffe://example.org/ns/a", "spiffe://example.org/ns/a"),
        (NameKind.URI, "https://192.0.2.1:8443/x?y=%20", "https://192.0.2.1:8443/x?y=%20"),
        (NameKind.URI, "https://[2001:db8::1]/", "https://[2001:db8::1]/"),
        (NameKind.URI, "urn:uuid:f81d4fae-7dec", "urn:uuid:f81d4fae-7dec"),
    ],
)
def test_a_name_comes_back_in_its_normal_form(kind: NameKind, text: str, normal: str) -> None:
    name = parse_name(kind, text)
    assert name == Name(kind, normal)
    assert name_from_general_name(name.general_name()) == name


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (NameKind.IP, ""),
        (NameKind.IP, "192.0.2"),
        (NameKind.IP, "192.0.2.256"),
        (NameKind.IP, "192.0.2.01"),
        (NameKind.IP, "192.0.2.0/24"),
        (NameKind.IP, "example.com"),
        (NameKind.IP, "0.0.0.0"),  # noqa: S104 - a name, not a socket.
        (NameKind.IP, "::"),
        (NameKind.IP, "224.0.0.1"),
        (NameKind.IP, "ff02::1"),
        (NameKind.IP, "fe80::1%eth0"),
        (NameKind.IP, "::ffff:192.0.2.1"),
        (NameKind.EMAIL, ""),
        (NameKind.EMAIL, "alice"),
        (NameKind.EMAIL, "@example.com"),
        (NameKind.EMAIL, "alice@"),
        (NameKind.EMAIL, "a@b@example.com"),
        (NameKind.EMAIL, "a b@example.com"),
        (NameKind.EMAIL, ".a@example.com"),
        (NameKind.EMAIL, "a..b@example.com"),
        (NameKind.EMAIL, '"a b"@example.com'),
        (NameKind.EMAIL, "müller@example.com"),
        (NameKind.EMAIL, "a" * 65 + "@example.com"),
        (NameKind.EMAIL, "a@*.example.com"),
        (NameKind.EMAIL, "a@[192.0.2.1]"),
        (NameKind.EMAIL, "a@example.com\n"),
        (NameKind.EMAIL, "Alice <a@example.com>"),
        (NameKind.EMAIL, "a@" + "b." * 130 + "c"),
        (NameKind.URI, ""),
        (NameKind.URI, "/relative"),
        (NameKind.URI, "//example.com/x"),
        (NameKind.URI, "https://"),
        (NameKind.URI, "https:///x"),
        (NameKind.URI, "https://example.com/ü"),
        (NameKind.URI, "https://example.com/a b"),
        (NameKind.URI, "https://example.com/%zz"),
        (NameKind.URI, "https://example.com/#fragment"),
        (NameKind.URI, "https://example.com/#"),
        (NameKind.URI, "https://user@example.com/"),
        (NameKind.URI, "https://user:secret@example.com/"),
        (NameKind.URI, "https://exa_mple.com/"),
        (NameKind.URI, "https://192.0.2.256/"),
        (NameKind.URI, "https://[2001:db8::1/"),
        (NameKind.URI, "https://example.com:99999/"),
        (NameKind.URI, "https://example.com/" + "a" * 2048),
        (NameKind.URI, "https://example.com/\n"),
    ],
)
def test_a_malformed_name_is_refused(kind: NameKind, text: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_name(kind, text)
    assert caught.value.refusal.value == f"name.malformed-{kind.value}"


@pytest.mark.parametrize(
    "general_name",
    [
        x509.DirectoryName(x509.Name([])),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x01a"),
    ],
    ids=lambda name: type(name).__name__,
)
def test_a_kind_of_name_that_is_not_issued_is_refused(general_name: x509.GeneralName) -> None:
    with pytest.raises(Refused) as caught:
        name_from_general_name(general_name)
    assert caught.value.refusal is Refusal.NAME_NOT_PERMITTED
