"""A name that a certificate certifies, and its kind."""

import ipaddress
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509

__all__ = ["Name", "NameKind"]


class NameKind(StrEnum):
    """The kinds of GeneralName (RFC 5280 section 4.2.1.6) that the platform issues."""

    DNS = "dns"
    IP = "ip"
    EMAIL = "email"
    URI = "uri"


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """One name in its normal form, as ``names.parse_name`` returns it.

    ``value`` is ASCII: DNS names in lower case with A-labels, IP addresses in their shortest
    form, e-mail addresses with a lower-case domain, URIs as they came.
    """

    kind: NameKind
    value: str

    def __str__(self) -> str:
        return self.value

    def general_name(self) -> x509.GeneralName:
        """Return the name as ``cryptography`` writes it into an extension."""
        match self.kind:
            case NameKind.DNS:
                return x509.DNSName(self.value)
            case NameKind.IP:
                return x509.IPAddress(ipaddress.ip_address(self.value))
            case NameKind.EMAIL:
                return x509.RFC822Name(self.value)
            case NameKind.URI:
                return x509.UniformResourceIdentifier(self.value)
