"""The names that certificates certify: syntax, normal forms, name constraints."""

import ipaddress

from cryptography import x509

from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.names.addresses import parse_email_address, parse_ip_address, parse_uri
from pkakey_engine.names.constraints import check_name_constraints, parse_subtree
from pkakey_engine.names.dns import is_dns_name, parse_dns_name
from pkakey_engine.names.kinds import Name, NameKind

__all__ = [
    "Name",
    "NameKind",
    "check_name_constraints",
    "is_dns_name",
    "name_from_general_name",
    "parse_dns_name",
    "parse_name",
    "parse_subtree",
]


def parse_name(kind: NameKind, text: str, *, wildcard: bool = True) -> Name:
    """Return the name in its normal form; raise ``Refused`` (name.malformed-*, name.wildcard)."""
    match kind:
        case NameKind.DNS:
            return Name(kind, parse_dns_name(text, wildcard=wildcard))
        case NameKind.IP:
            return Name(kind, parse_ip_address(text))
        case NameKind.EMAIL:
            return Name(kind, parse_email_address(text))
        case NameKind.URI:
            return Name(kind, parse_uri(text))


def name_from_general_name(general_name: x509.GeneralName) -> Name:
    """Return the GeneralName in its normal form; raise ``Refused`` (name.*) if it is unusable."""
    if isinstance(general_name, x509.DNSName):
        return parse_name(NameKind.DNS, general_name.value)
    if isinstance(general_name, x509.IPAddress):
        if isinstance(general_name.value, ipaddress.IPv4Network | ipaddress.IPv6Network):
            raise Refused(
                Refusal.NAME_MALFORMED_IP,
                f"{general_name.value} is a network; a certificate names single addresses.",
            )
        return parse_name(NameKind.IP, str(general_name.value))
    if isinstance(general_name, x509.RFC822Name):
        return parse_name(NameKind.EMAIL, general_name.value)
    if isinstance(general_name, x509.UniformResourceIdentifier):
        return parse_name(NameKind.URI, general_name.value)
    kind = type(general_name).__name__
    raise Refused(
        Refusal.NAME_NOT_PERMITTED,
        f"The request asks for a name of the kind {kind}; DNS names, IP addresses, e-mail "
        "addresses and URIs can be certified.",
    )
