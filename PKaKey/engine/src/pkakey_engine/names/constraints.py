"""Name constraints of the issuers above a certificate (RFC 5280 section 4.2.1.10)."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.names.addresses import parse_email_address, uri_host
from pkakey_engine.names.dns import is_dns_name, parse_dns_name
from pkakey_engine.names.kinds import Name, NameKind

__all__ = ["check_name_constraints", "parse_subtree"]

_KINDS: dict[NameKind, type[x509.GeneralName]] = {
    NameKind.DNS: x509.DNSName,
    NameKind.IP: x509.IPAddress,
    NameKind.EMAIL: x509.RFC822Name,
    NameKind.URI: x509.UniformResourceIdentifier,
}


def parse_subtree(text: str) -> x509.GeneralName:
    """Return the subtree that text such as ``dns:example.test`` or ``ip:10.0.0.0/8`` means.

    Kinds are dns, ip, email and uri. A domain means itself and, for DNS names, all below it; with a
    leading dot only what is below. Raises ``Refused`` (name.malformed-*, name.not-permitted).
    """
    kind, _, value = text.strip().partition(":")
    match kind:
        case "ip":
            try:
                return x509.IPAddress(ipaddress.ip_network(value))
            except ValueError as error:
                raise Refused(
                    Refusal.NAME_MALFORMED_IP,
                    f"{value[:64]!r} is no network; write one such as 10.0.0.0/8 or 2001:db8::/32.",
                ) from error
        case "dns" | "uri" | "email":
            _, at, host = value.rpartition("@") if kind == "email" else ("", "", value)
            dot = "." if host.startswith(".") and not at else ""
            domain = dot + parse_dns_name(host.removeprefix(dot))
            if kind == "dns":
                return x509.DNSName(domain)
            if kind == "uri":
                return x509.UniformResourceIdentifier(domain)
            return x509.RFC822Name(parse_email_address(value) if at else domain)
        case _:
            raise Refused(
                Refusal.NAME_NOT_PERMITTED,
                f"{text[:64]!r} is no name constraint; write kind:value with the kind dns, ip, "
                "email or uri, such as dns:example.test.",
            )


def _under_domain(name: str, domain: str) -> bool:
    """Return whether the name is the domain or below it; a leading dot means only below."""
    if not domain:
        return True
    if domain.startswith("."):
        return name.endswith(domain)
    return name == domain or name.endswith("." + domain)


def _dns_matches(name: str, subtree: str, *, permitted: bool) -> bool:
    subtree = subtree.lower()
    if not name.startswith("*."):
        return _under_domain(name, subtree)
    base = name[2:]
    if permitted:
        # Every host that the wildcard can stand for must lie within: one label below the base.
        return _under_domain("x." + base, subtree) and _under_domain(base, subtree.lstrip("."))
    # An excluded subtree is touched as soon as one host that the wildcard stands for is within.
    return (
        _under_domain(base, subtree)
        or _under_domain("x." + base, subtree)
        or subtree.lstrip(".").partition(".")[2] == base
    )


def _email_matches(address: str, subtree: str) -> bool:
    local, _, host = address.rpartition("@")
    if "@" in subtree:
        wanted_local, _, wanted_host = subtree.rpartition("@")
        return local == wanted_local and host == wanted_host.lower()
    subtree = subtree.lower()
    return host.endswith(subtree) if subtree.startswith(".") else not subtree or host == subtree


def _uri_matches(uri: str, subtree: str, *, permitted: bool) -> bool:
    host = uri_host(uri)
    if host is None or not is_dns_name(host):
        # RFC 5280: a URI without a host name in the form of a DNS name must be rejected.
        return not permitted
    subtree = subtree.lower()
    return host.endswith(subtree) if subtree.startswith(".") else not subtree or host == subtree


def _name_matches(name: Name, subtree: x509.GeneralName, *, permitted: bool) -> bool:
    if isinstance(subtree, x509.DNSName):
        return _dns_matches(name.value, subtree.value, permitted=permitted)
    if isinstance(subtree, x509.RFC822Name):
        return _email_matches(name.value, subtree.value)
    if isinstance(subtree, x509.UniformResourceIdentifier):
        return _uri_matches(name.value, subtree.value, permitted=permitted)
    if isinstance(subtree, x509.IPAddress):
        network = subtree.value
        address = ipaddress.ip_address(name.value)
        if isinstance(network, ipaddress.IPv4Network | ipaddress.IPv6Network):
            return address.version == network.version and address in network
        return address == network
    return False


def _folded(rdn: x509.RelativeDistinguishedName) -> frozenset[tuple[str, str]]:
    """Return the attributes for comparison: case and runs of spaces do not count (section 7.1)."""
    return frozenset(
        (
            attribute.oid.dotted_string,
            " ".join(attribute.value.split()).casefold()
            if isinstance(attribute.value, str)
            else attribute.value.hex(),
        )
        for attribute in rdn
    )


def _subject_under(subject: x509.Name, subtree: x509.Name) -> bool:
    wanted = [_folded(rdn) for rdn in subtree.rdns]
    return [_folded(rdn) for rdn in subject.rdns[: len(wanted)]] == wanted


def _text_attributes(subject: x509.Name, oid: x509.ObjectIdentifier) -> Iterable[str]:
    for attribute in subject.get_attributes_for_oid(oid):
        if isinstance(attribute.value, str):
            yield attribute.value


@dataclass(frozen=True, slots=True)
class _Subtrees:
    permitted: tuple[x509.GeneralName, ...]
    excluded: tuple[x509.GeneralName, ...]

    def check_name(self, name: Name) -> None:
        kind = _KINDS[name.kind]
        if any(
            isinstance(subtree, kind) and _name_matches(name, subtree, permitted=False)
            for subtree in self.excluded
        ):
            raise _outside(name.kind.value, name.value, "exclude")
        of_kind = [subtree for subtree in self.permitted if isinstance(subtree, kind)]
        if of_kind and not any(_name_matches(name, s, permitted=True) for s in of_kind):
            raise _outside(name.kind.value, name.value, "do not permit")

    def check_subject(self, subject: x509.Name) -> None:
        text = subject.rfc4514_string()
        for subtree in self.excluded:
            if isinstance(subtree, x509.DirectoryName) and _subject_under(subject, subtree.value):
                raise _outside("subject", text, "exclude")
        directories = [s.value for s in self.permitted if isinstance(s, x509.DirectoryName)]
        if directories and not any(_subject_under(subject, name) for name in directories):
            raise _outside("subject", text, "do not permit")


def _outside(kind: str, value: str, verb: str) -> Refused:
    return Refused(
        Refusal.NAME_OUTSIDE_CONSTRAINTS,
        f"The authority's name constraints {verb} the {kind} name {value!r}; "
        "ask for a name within them, or use another authority.",
    )


def check_name_constraints(
    *, subject: x509.Name, names: Sequence[Name], constraints: Iterable[x509.NameConstraints]
) -> None:
    """Raise ``Refused`` (name.outside-constraints) unless every constraint allows all names.

    Beside the subject alternative names, the subject itself is checked as a directory name, its
    e-mail attribute as an e-mail address, and a common name that reads as a DNS name or an IP
    address as one: verifiers such as OpenSSL fall back on it. otherName, x400Address, ediPartyName
    and registeredID constraints bind nothing, since no such name is ever issued.
    """
    all_names = list(names)
    for text in _text_attributes(subject, NameOID.COMMON_NAME):
        if "." in text and is_dns_name(text):
            all_names.append(Name(NameKind.DNS, text.lower()))
        else:
            try:
                address = ipaddress.ip_address(text)
            except ValueError:
                continue
            all_names.append(Name(NameKind.IP, str(address)))
    all_names += [
        Name(NameKind.EMAIL, text) for text in _text_attributes(subject, NameOID.EMAIL_ADDRESS)
    ]
    for constraint in constraints:
        subtrees = _Subtrees(
            tuple(constraint.permitted_subtrees or ()), tuple(constraint.excluded_subtrees or ())
        )
        for name in all_names:
            subtrees.check_name(name)
        if subject.rdns:
            subtrees.check_subject(subject)
