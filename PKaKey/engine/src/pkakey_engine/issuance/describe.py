"""A certificate's extensions in words, for previews and detail screens."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

__all__ = ["ExtensionInWords", "describe_certificate"]


@dataclass(frozen=True, slots=True)
class ExtensionInWords:
    """One extension: its RFC name, dotted OID, criticality, and lines that a person can read."""

    name: str
    oid: str
    critical: bool
    lines: tuple[str, ...]


_USAGE_WORDS = {
    "digital_signature": "Digital signature",
    "content_commitment": "Non-repudiation (content commitment)",
    "key_encipherment": "Key encipherment",
    "data_encipherment": "Data encipherment",
    "key_agreement": "Key agreement",
    "key_cert_sign": "Sign certificates",
    "crl_sign": "Sign revocation lists",
}
_EXTENDED_USAGE_WORDS = {
    ExtendedKeyUsageOID.SERVER_AUTH: "TLS server authentication",
    ExtendedKeyUsageOID.CLIENT_AUTH: "TLS client authentication",
    ExtendedKeyUsageOID.CODE_SIGNING: "Code signing",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "E-mail protection",
    ExtendedKeyUsageOID.TIME_STAMPING: "Time stamping",
    ExtendedKeyUsageOID.OCSP_SIGNING: "OCSP signing",
}
_ACCESS_WORDS = {
    AuthorityInformationAccessOID.OCSP: "OCSP",
    AuthorityInformationAccessOID.CA_ISSUERS: "CA certificate",
}
_GENERAL_NAME_WORDS: dict[type[x509.GeneralName], str] = {
    x509.DNSName: "DNS name",
    x509.IPAddress: "IP address",
    x509.RFC822Name: "E-mail address",
    x509.UniformResourceIdentifier: "URI",
    x509.DirectoryName: "Directory name",
    x509.RegisteredID: "Registered ID",
    x509.OtherName: "Other name",
}


def _hex(octets: bytes) -> str:
    return octets.hex(":").upper()


def _general_name(name: x509.GeneralName) -> str:
    word = _GENERAL_NAME_WORDS.get(type(name), type(name).__name__)
    value: Any = name.value
    if isinstance(value, x509.Name):
        value = value.rfc4514_string()
    elif isinstance(value, x509.ObjectIdentifier):
        value = value.dotted_string
    elif isinstance(name, x509.OtherName):
        value = f"{name.type_id.dotted_string} {name.value.hex()}"
    return f"{word}: {value}"


def _basic_constraints(value: x509.BasicConstraints) -> list[str]:
    if not value.ca:
        return ["Not an authority"]
    if value.path_length is None:
        return ["Certificate authority", "Any number of authorities may follow below it"]
    return ["Certificate authority", f"Authorities that may follow below it: {value.path_length}"]


def _key_usage(value: x509.KeyUsage) -> list[str]:
    lines = [word for name, word in _USAGE_WORDS.items() if getattr(value, name)]
    if value.key_agreement and value.encipher_only:
        lines.append("Encipher only")
    if value.key_agreement and value.decipher_only:
        lines.append("Decipher only")
    return lines


def _extended_key_usage(value: x509.ExtendedKeyUsage) -> list[str]:
    return [_EXTENDED_USAGE_WORDS.get(oid, oid.dotted_string) for oid in value]


def _authority_key_identifier(value: x509.AuthorityKeyIdentifier) -> list[str]:
    lines = [] if value.key_identifier is None else [_hex(value.key_identifier)]
    lines += [_general_name(name) for name in value.authority_cert_issuer or ()]
    if value.authority_cert_serial_number is not None:
        lines.append(f"Serial number: {value.authority_cert_serial_number:x}")
    return lines


def _information_access(
    value: x509.AuthorityInformationAccess | x509.SubjectInformationAccess,
) -> list[str]:
    return [
        f"{_ACCESS_WORDS.get(access.access_method, access.access_method.dotted_string)}: "
        f"{access.access_location.value}"
        for access in value
    ]


def _distribution_points(value: x509.CRLDistributionPoints | x509.FreshestCRL) -> list[str]:
    return [_general_name(name) for point in value for name in point.full_name or ()]


def _name_constraints(value: x509.NameConstraints) -> list[str]:
    lines = [f"Permitted: {_general_name(name)}" for name in value.permitted_subtrees or ()]
    return lines + [f"Excluded: {_general_name(name)}" for name in value.excluded_subtrees or ()]


def _policies(value: x509.CertificatePolicies) -> list[str]:
    return [policy.policy_identifier.dotted_string for policy in value]


_WORDS: dict[type[x509.ExtensionType], tuple[str, Callable[[Any], list[str]]]] = {
    x509.SubjectAlternativeName: (
        "Subject alternative name",
        lambda value: [_general_name(name) for name in value],
    ),
    x509.IssuerAlternativeName: (
        "Issuer alternative name",
        lambda value: [_general_name(name) for name in value],
    ),
    x509.BasicConstraints: ("Basic constraints", _basic_constraints),
    x509.KeyUsage: ("Key usage", _key_usage),
    x509.ExtendedKeyUsage: ("Extended key usage", _extended_key_usage),
    x509.SubjectKeyIdentifier: ("Subject key identifier", lambda value: [_hex(value.digest)]),
    x509.AuthorityKeyIdentifier: ("Authority key identifier", _authority_key_identifier),
    x509.AuthorityInformationAccess: ("Authority information access", _information_access),
    x509.SubjectInformationAccess: ("Subject information access", _information_access),
    x509.CRLDistributionPoints: ("CRL distribution points", _distribution_points),
    x509.FreshestCRL: ("Freshest CRL", _distribution_points),
    x509.NameConstraints: ("Name constraints", _name_constraints),
    x509.CertificatePolicies: ("Certificate policies", _policies),
    x509.OCSPNoCheck: (
        "OCSP no check",
        lambda _: ["Clients need not ask for this responder's own status"],
    ),
}


def describe_certificate(certificate: x509.Certificate) -> list[ExtensionInWords]:
    """Return every extension of the certificate in its order; unknown ones as hex.

    Raises ValueError when the certificate's extensions are malformed.
    """
    described = []
    for extension in certificate.extensions:
        value = extension.value
        name, words = _WORDS.get(type(value), ("", None))
        if words is not None:
            lines = words(value)
        else:
            name = f"Extension {extension.oid.dotted_string}"
            lines = [_hex(value.public_bytes())]
        described.append(
            ExtensionInWords(name, extension.oid.dotted_string, extension.critical, tuple(lines))
        )
    return described
