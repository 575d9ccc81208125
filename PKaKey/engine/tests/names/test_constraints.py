import ipaddress

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.names import Name, NameKind, check_name_constraints, parse_subtree

DNS, IP, EMAIL, URI = NameKind.DNS, NameKind.IP, NameKind.EMAIL, NameKind.URI
EMPTY = x509.Name([])


def subject(**attributes: str) -> x509.Name:
    oids = {
        "C": NameOID.COUNTRY_NAME,
        "O": NameOID.ORGANIZATION_NAME,
        "CN": NameOID.COMMON_NAME,
        "E": NameOID.EMAIL_ADDRESS,
    }
    return x509.Name([x509.NameAttribute(oids[key], value) for key, value in attributes.items()])


def subtree(kind: NameKind, text: str) -> x509.GeneralName:
    match kind:
        case NameKind.DNS:
            return x509.DNSName(text)
        case NameKind.IP:
            return x509.IPAddress(ipaddress.ip_network(text))
        case NameKind.EMAIL:
            return x509.RFC822Name(text)
        case NameKind.URI:
            return x509.UniformResourceIdentifier(text)


def is_inside(
    *constraints: x509.NameConstraints, names: list[Name], who: x509.Name = EMPTY
) -> bool:
    try:
        check_name_constraints(subject=who, names=names, constraints=constraints)
    except Refused as error:
        return error.refusal is not Refusal.NAME_OUTSIDE_CONSTRAINTS
    return True


MATCHES = [
    (DNS, "example.com", "example.com"),
    (DNS, "example.com", "a.b.example.com"),
    (DNS, "EXAMPLE.com", "a.example.com"),
    (DNS, ".example.com", "a.example.com"),
    (DNS, "", "anything.example"),
    (DNS, "example.com", "*.example.com"),
    (DNS, "example.com", "*.a.example.com"),
    (DNS, ".example.com", "*.example.com"),
    (IP, "192.0.2.0/24", "192.0.2.255"),
    (IP, "2001:db8::/32", "2001:db8:1::1"),
    (EMAIL, "a@example.com", "a@example.com"),
    (EMAIL, "example.com", "a@example.com"),
    (EMAIL, ".example.com", "a@mail.example.com"),
    (URI, "example.com", "https://example.com/x"),
    (URI, ".example.com", "https://a.example.com:1/x"),
]
MISSES = [
    (DNS, "example.com", "example.org"),
    (DNS, "example.com", "badexample.com"),
    (DNS, "example.com", "com"),
    (DNS, ".example.com", "example.com"),
    (DNS, "example.com", "example.com.evil.org"),
    (IP, "192.0.2.0/24", "192.0.3.0"),
    (IP, "192.0.2.0/24", "2001:db8::1"),
    (IP, "::/0", "192.0.2.1"),
    (EMAIL, "a@example.com", "b@example.com"),
    (EMAIL, "a@example.com", "A@example.com"),
    (EMAIL, "example.com", "a@mail.example.com"),
    (EMAIL, ".example.com", "a@example.com"),
    (URI, "example.com", "https://a.example.com/"),
    (URI, ".example.com", "https://example.com/"),
]


@pytest.mark.parametrize(("kind", "limit", "name"), MATCHES)
def test_a_name_in_a_permitted_subtree_passes_and_in_an_excluded_one_does_not(
    kind: NameKind, limit: str, name: str
) -> None:
    tree = [subtree(kind, limit)]
    assert is_inside(x509.NameConstraints(tree, None), names=[Name(kind, name)])
    assert not is_inside(x509.NameConstraints(None, tree), names=[Name(kind, name)])
    assert not is_inside(x509.NameConstraints(tree, tree), names=[Name(kind, name)])


@pytest.mark.parametrize(("kind", "limit", "name"), MISSES)
def test_a_name_beside_a_permitted_subtree_is_refused_and_beside_an_excluded_one_passes(
    kind: NameKind, limit: str, name: str
) -> None:
    tree = [subtree(kind, limit)]
    assert not is_inside(x509.NameConstraints(tree, None), names=[Name(kind, name)])
    assert is_inside(x509.NameConstraints(None, tree), names=[Name(kind, name)])


@pytest.mark.parametrize("uri", ["urn:uuid:1", "https://192.0.2.1/", "https://[2001:db8::1]/"])
def test_a_uri_without_a_host_name_is_refused_under_any_uri_constraint(uri: str) -> None:
    tree = [x509.UniformResourceIdentifier("example.com")]
    assert not is_inside(x509.NameConstraints(tree, None), names=[Name(URI, uri)])
    assert not is_inside(x509.NameConstraints(None, tree), names=[Name(URI, uri)])


@pytest.mark.parametrize("excluded", ["a.example.com", ".example.com", "x.example.com"])
def test_a_wildcard_that_covers_an_excluded_host_is_refused(excluded: str) -> None:
    limit = x509.NameConstraints(None, [x509.DNSName(excluded)])
    assert not is_inside(limit, names=[Name(DNS, "*.example.com")])


def test_a_wildcard_wider_than_the_permitted_subtree_is_refused() -> None:
    limit = x509.NameConstraints([x509.DNSName("a.example.com")], None)
    assert not is_inside(limit, names=[Name(DNS, "*.example.com")])


def test_a_constraint_on_one_kind_leaves_other_kinds_alone() -> None:
    limit = x509.NameConstraints([x509.DNSName("example.com")], None)
    assert is_inside(limit, names=[Name(IP, "192.0.2.1"), Name(EMAIL, "a@b.example")])


def test_all_constraints_of_the_chain_count() -> None:
    wide = x509.NameConstraints([x509.DNSName("example.com")], None)
    narrow = x509.NameConstraints([x509.DNSName("a.example.com")], None)
    assert is_inside(wide, narrow, names=[Name(DNS, "x.a.example.com")])
    assert not is_inside(wide, narrow, names=[Name(DNS, "b.example.com")])
    assert not is_inside(narrow, wide, names=[Name(DNS, "b.example.com")])


@pytest.mark.parametrize(
    ("who", "limit"),
    [
        (subject(CN="evil.example"), x509.DNSName("example.com")),
        (subject(CN="EVIL.example"), x509.DNSName("example.com")),
        (subject(CN="198.51.100.1"), x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))),
        (subject(E="a@evil.example"), x509.RFC822Name("example.com")),
    ],
)
def test_a_subject_that_reads_as_a_name_is_constrained_like_one(
    who: x509.Name, limit: x509.GeneralName
) -> None:
    assert not is_inside(x509.NameConstraints([limit], None), names=[], who=who)


def test_a_common_name_that_is_no_dns_name_is_not_constrained_as_one() -> None:
    limit = x509.NameConstraints([x509.DNSName("example.com")], None)
    assert is_inside(limit, names=[], who=subject(CN="Alice B."))


@pytest.mark.parametrize(
    ("who", "inside"),
    [
        (subject(C="DE", O="Example", CN="x"), True),
        (subject(C="DE", O="  EXAMPLE "), True),
        (subject(C="DE", O="Other"), False),
        (subject(C="DE"), False),
        (subject(O="Example", C="DE"), False),
        (EMPTY, True),
    ],
)
def test_a_directory_name_constraint_binds_the_subject(who: x509.Name, inside: bool) -> None:  # noqa: FBT001
    tree = [x509.DirectoryName(subject(C="DE", O="Example"))]
    assert is_inside(x509.NameConstraints(tree, None), names=[], who=who) is inside
    if who.rdns:
        assert is_inside(x509.NameConstraints(None, tree), names=[], who=who) is not inside


@pytest.mark.parametrize(
    "other",
    [
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"),
    ],
    ids=lambda name: type(name).__name__,
)
def test_a_constraint_on_a_kind_that_is_never_issued_binds_nothing(
    other: x509.GeneralName,
) -> None:
    names = [Name(DNS, "example.com")]
    assert is_inside(x509.NameConstraints([other], None), names=names)
    assert is_inside(x509.NameConstraints(None, [other]), names=names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dns:Example.test", x509.DNSName("example.test")),
        ("dns:.example.test", x509.DNSName(".example.test")),
        (" ip:10.0.0.0/8 ", x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))),
        ("ip:2001:db8::/32", x509.IPAddress(ipaddress.ip_network("2001:db8::/32"))),
        ("email:example.test", x509.RFC822Name("example.test")),
        ("email:a@Example.test", x509.RFC822Name("a@example.test")),
        ("uri:.example.test", x509.UniformResourceIdentifier(".example.test")),
    ],
)
def test_a_subtree_is_read_from_text(text: str, expected: x509.GeneralName) -> None:
    assert parse_subtree(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "dns", "dns:", "dns:*.example.test", "dns:..example.test", "dns:a b", "ip:",
        "ip:10.0.0.1/8", "ip:10.0.0.0/33", "ip:host", "email:", "email:@", "email:a@b@c",
        "email:.a@example.test", "uri:", "uri:https://example.test/", "DNS:example.test",
        "other:example.test", "dns:" + "a" * 300, "dns:\x00",
    ],
)  # fmt: skip
def test_what_is_no_subtree_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        parse_subtree(text)
