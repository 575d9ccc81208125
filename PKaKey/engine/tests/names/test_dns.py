import pytest
from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.names import is_dns_name, parse_dns_name

LONGEST_LABEL = "a" * 63
LONGEST_NAME = ".".join([LONGEST_LABEL] * 3 + ["a" * 61])


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("example.com", "example.com"),
        ("EXAMPLE.Com", "example.com"),
        ("localhost", "localhost"),
        ("1.2.3.example", "1.2.3.example"),
        ("a-b.example", "a-b.example"),
        ("xn--mller-kva.example", "xn--mller-kva.example"),
        ("müller.example", "xn--mller-kva.example"),
        ("Müller.EXAMPLE", "xn--mller-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        (LONGEST_NAME, LONGEST_NAME),
    ],
)
def test_a_dns_name_comes_back_in_its_normal_form(text: str, normal: str) -> None:
    assert parse_dns_name(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(".", id="the root"),
        pytest.param("example.com.", id="a dot at the end"),
        pytest.param(".example.com", id="a dot at the start"),
        pytest.param("a..example", id="an empty label"),
        pytest.param("-a.example", id="a hyphen at a label's start"),
        pytest.param("a-.example", id="a hyphen at a label's end"),
        pytest.param("a_b.example", id="an underscore"),
        pytest.param("a b.example", id="a space"),
        pytest.param("a.example\n", id="a line feed at the end"),
        pytest.param("a.example\x00.evil", id="a NUL octet"),
        pytest.param("http://a.example", id="a URL"),
        pytest.param("a.example:443", id="a port"),
        pytest.param("a" * 64 + ".example", id="a label of 64 octets"),
        pytest.param(LONGEST_NAME + "a", id="a name of 254 octets"),
        pytest.param("192.0.2.1", id="an IPv4 address"),
        pytest.param("2001:db8::1", id="an IPv6 address"),
        pytest.param("a.123", id="a number as top-level domain"),
        pytest.param("a.0x7f", id="a hexadecimal number as top-level domain"),
        pytest.param("ab--cd.example", id="a reserved label that is no A-label"),
        pytest.param("xn--a.example", id="punycode that decodes to nothing"),
        pytest.param("xn--.example", id="an empty A-label"),
        pytest.param("xn--abc-.example", id="an A-label of ASCII"),
        pytest.param("xn--Mller-kva-.example", id="an A-label with a hyphen at its end"),
        pytest.param("xn--ls8h.example", id="an emoji, which IDNA 2008 has not"),
        pytest.param("\u2603.example", id="a snowman, which IDNA 2008 has not"),
        pytest.param("a\u200d.example", id="a joiner without its context"),
        pytest.param("\uff41.example", id="full-width letters, which would need mapping"),
        pytest.param("a\u3002example", id="an ideographic full stop"),
        pytest.param("\u0430pple\u0301\u0301" * 30, id="far too long after encoding"),
    ],
)
def test_a_malformed_dns_name_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_dns_name(text, wildcard=True)
    assert caught.value.refusal is Refusal.NAME_MALFORMED_DNS
    assert not is_dns_name(text)


@pytest.mark.parametrize("text", ["*.example.com", "*.a.example.com", "*.MÜLLER.example"])
def test_a_wildcard_is_accepted_as_the_whole_left_most_label(text: str) -> None:
    assert parse_dns_name(text, wildcard=True).startswith("*.")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("*", id="alone"),
        pytest.param("*.com", id="directly under a top-level domain"),
        pytest.param("*.localhost", id="directly under a single label"),
        pytest.param("a.*.example.com", id="not the left-most label"),
        pytest.param("*.*.example.com", id="twice"),
        pytest.param("a*.example.com", id="a part of a label"),
        pytest.param("*a.example.com", id="the start of a label"),
        pytest.param("**.example.com", id="doubled"),
        pytest.param("example.*", id="the right-most label"),
    ],
)
def test_a_wildcard_in_any_other_place_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_dns_name(text, wildcard=True)
    assert caught.value.refusal is Refusal.NAME_WILDCARD


def test_a_wildcard_is_refused_where_none_is_permitted() -> None:
    with pytest.raises(Refused) as caught:
        parse_dns_name("*.example.com")
    assert caught.value.refusal is Refusal.NAME_WILDCARD


@pytest.mark.parametrize("text", ["*.-.example", "*..com", "*.a.1", "*." + LONGEST_NAME])
def test_what_follows_a_wildcard_must_be_a_dns_name(text: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_dns_name(text, wildcard=True)
    assert caught.value.refusal is Refusal.NAME_MALFORMED_DNS
