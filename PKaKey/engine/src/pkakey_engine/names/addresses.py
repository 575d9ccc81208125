"""IP addresses, e-mail addresses and URIs as RFC 5280 section 4.2.1.6 wants them."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.names.dns import parse_dns_name

__all__ = ["parse_email_address", "parse_ip_address", "parse_uri", "uri_host"]

MAX_EMAIL_OCTETS = 254
MAX_URI_OCTETS = 2048
_MAX_LOCAL_PART = 64
_MAX_SHOWN = 80

# RFC 5321 section 4.1.2: Dot-string. Quoted local parts are legal there and refused here.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL_PART = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
# RFC 3986 sections 3.1 and 2: a scheme, then only characters that a URI may hold.
_URI = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+"
)


def parse_ip_address(text: str) -> str:
    """Return the address in its shortest form; raise ``Refused`` (name.malformed-ip) if none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise Refused(
            Refusal.NAME_MALFORMED_IP,
            f"{text[:_MAX_SHOWN]!r} is no IP address; write it like 192.0.2.1 or 2001:db8::1.",
        ) from error
    why = ""
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        why = "has a zone, which no certificate can hold"
    elif isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        why = "is an IPv4 address inside IPv6; ask for the IPv4 address"
    elif address.is_unspecified:
        why = "names no host"
    elif address.is_multicast:
        why = "is a multicast address, which names no single host"
    if why:
        raise Refused(Refusal.NAME_MALFORMED_IP, f"The IP address {address} {why}.")
    return str(address)


def parse_email_address(text: str) -> str:
    """Return the address with its domain in normal form; the local part keeps its case.

    Raises ``Refused`` (name.malformed-email). Local parts are ASCII: internationalised ones need
    the otherName of RFC 9598, which the platform does not issue.
    """
    local, at, domain = text.rpartition("@")
    why = ""
    if len(text) > MAX_EMAIL_OCTETS:
        why = f"it is longer than {MAX_EMAIL_OCTETS} characters."
    elif not at or not local:
        why = "write it like name@example.com."
    elif len(local) > _MAX_LOCAL_PART or not _LOCAL_PART.fullmatch(local):
        why = "the part before the @ has 1 to 64 ASCII letters, digits, dots and signs."
    if not why:
        try:
            return f"{local}@{parse_dns_name(domain)}"
        except Refused as error:
            why = error.detail
    raise Refused(
        Refusal.NAME_MALFORMED_EMAIL, f"{text[:_MAX_SHOWN]!r} is no valid e-mail address: {why}"
    )


def _refuse_uri(text: str, why: str) -> Refused:
    return Refused(Refusal.NAME_MALFORMED_URI, f"{text[:_MAX_SHOWN]!r} is no usable URI: {why}")


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise _refuse_uri(text, "its host or port is malformed.") from error
    return parts


def uri_host(text: str) -> str | None:
    """Return the host of a URI that ``parse_uri`` has returned; None when it has no authority."""
    return _split(text).hostname


def parse_uri(text: str) -> str:
    """Return the URI as it came; raise ``Refused`` (name.malformed-uri) unless it is absolute.

    RFC 5280 section 4.2.1.6: not relative; where it has an authority, the host is a fully
    qualified DNS name or an IP address.
    """
    if len(text) > MAX_URI_OCTETS:
        raise _refuse_uri(text, f"it is longer than {MAX_URI_OCTETS} characters.")
    if not _URI.fullmatch(text):
        raise _refuse_uri(text, "write it absolute and in ASCII, like https://example.com/x.")
    parts = _split(text)
    if parts.fragment or "#" in text:
        raise _refuse_uri(text, "it must not have a fragment.")
    if not parts.netloc:
        if text.partition(":")[2].startswith("//"):
            raise _refuse_uri(text, "it has no host.")
        return text
    if "@" in parts.netloc:
        raise _refuse_uri(text, "it must not hold a user name or a password.")
    host = parts.hostname
    if not host:
        raise _refuse_uri(text, "it has no host.")
    try:
        if ":" in host or host.replace(".", "").isdigit():
            parse_ip_address(host)
        else:
            parse_dns_name(host)
    except Refused as error:
        raise _refuse_uri(text, error.detail) from error
    return text
