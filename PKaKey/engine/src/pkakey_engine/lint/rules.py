"""The rules of the last look: each has a stable code, cites its section, and reads only bytes.

A rule is a function from the certificate to a sentence, or None when all is well. It sees what
will be signed, not what the engine meant: a fault in the engine shows here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, timedelta
from functools import cached_property
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pkakey_engine import der

__all__ = ["RULES", "Rule", "Subject"]

T = TypeVar("T", bound=x509.ExtensionType)

_DNS = re.compile(
    r"(?:\*\.)?(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)"
    r"(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
_MAX_SERIAL_OCTETS = 20
_UTC_TIME_LAST_YEAR = 2049
_UB_COMMON_NAME = 64


class Subject:
    """The certificate under lint, its extensions by type, and its issuer's certificate if any."""

    def __init__(
        self, certificate: x509.Certificate, issuer_certificate: x509.Certificate | None
    ) -> None:
        self.certificate = certificate
        self.issuer_certificate = issuer_certificate
        self.extensions = certificate.extensions
        self._by_type = {type(extension.value): extension for extension in self.extensions}

    def extension(self, kind: type[T]) -> x509.Extension[T] | None:
        """Return the extension of this kind."""
        return self._by_type.get(kind)

    def value(self, kind: type[T]) -> T | None:
        """Return the value of the extension of this kind."""
        extension = self.extension(kind)
        return None if extension is None else extension.value

    @cached_property
    def is_authority(self) -> bool:
        """Whether the certificate says that it is an authority's."""
        constraints = self.value(x509.BasicConstraints)
        return constraints is not None and constraints.ca

    @cached_property
    def extended_key_usage(self) -> frozenset[x509.ObjectIdentifier]:
        """The extended key usages; empty when there is no such extension."""
        return frozenset(self.value(x509.ExtendedKeyUsage) or ())


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its stable code, the section it comes from, and its check."""

    code: str
    source: str
    check: Callable[[Subject], str | None]


RULES: list[Rule] = []


def _rule(
    code: str, source: str
) -> Callable[[Callable[[Subject], str | None]], Callable[[Subject], str | None]]:
    def register(check: Callable[[Subject], str | None]) -> Callable[[Subject], str | None]:
        RULES.append(Rule(code, source, check))
        return check

    return register


@_rule("rfc5280.version.not-3", "RFC 5280 section 4.1.2.1")
def _version(subject: Subject) -> str | None:
    if subject.certificate.version is not x509.Version.v3:
        return "The version is not 3, though extensions are present."
    return None


@_rule("rfc5280.serial.not-positive", "RFC 5280 section 4.1.2.2")
def _serial_positive(subject: Subject) -> str | None:
    return "The serial number is not positive." if subject.certificate.serial_number < 1 else None


@_rule("rfc5280.serial.too-long", "RFC 5280 section 4.1.2.2")
def _serial_length(subject: Subject) -> str | None:
    octets = subject.certificate.serial_number.bit_length() // 8 + 1
    return f"The serial number takes {octets} octets." if octets > _MAX_SERIAL_OCTETS else None


@_rule("rfc5280.signature.algorithm-unexpected", "RFC 5758, RFC 4055, RFC 8410")
def _signature_algorithm(subject: Subject) -> str | None:
    oid = subject.certificate.signature_algorithm_oid.dotted_string
    known = {"1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3", "1.2.840.113549.1.1.11", "1.3.101.112"}
    return None if oid in known else f"The signature algorithm {oid} is none that we sign with."


@_rule("rfc5280.issuer.empty", "RFC 5280 section 4.1.2.4")
def _issuer_present(subject: Subject) -> str | None:
    return None if subject.certificate.issuer.rdns else "The issuer name is empty."


@_rule("rfc5280.issuer.differs", "RFC 5280 section 6.1.3 (a)(4)")
def _issuer_name(subject: Subject) -> str | None:
    above = subject.issuer_certificate
    name = subject.certificate.issuer
    if above is not None:
        # Octet for octet, since many verifiers compare no other way.
        same = name.public_bytes() == above.subject.public_bytes()
        return None if same else "The issuer name is not the issuing certificate's subject."
    same = name.public_bytes() == subject.certificate.subject.public_bytes()
    return None if same else "A certificate without an issuer above it is not self-issued."


@_rule("rfc5280.validity.reversed", "RFC 5280 section 4.1.2.5")
def _validity_order(subject: Subject) -> str | None:
    certificate = subject.certificate
    if certificate.not_valid_before_utc >= certificate.not_valid_after_utc:
        return "notAfter is not later than notBefore."
    return None


@_rule("rfc5280.validity.encoding", "RFC 5280 sections 4.1.2.5.1 and 4.1.2.5.2")
def _validity_encoding(subject: Subject) -> str | None:
    certificate = subject.certificate
    expected = der.sequence(
        der.time(certificate.not_valid_before_utc), der.time(certificate.not_valid_after_utc)
    )
    # Read from the bytes: whether UTCTime or GeneralizedTime was written shows nowhere else.
    if expected not in certificate.tbs_certificate_bytes:
        return f"Times through {_UTC_TIME_LAST_YEAR} are UTCTime, later ones GeneralizedTime."
    return None


@_rule("design.validity.beyond-issuer", "design.md section 4: never beyond the issuer")
def _validity_nested(subject: Subject) -> str | None:
    above = subject.issuer_certificate
    if above is None:
        return None
    certificate = subject.certificate
    if (
        certificate.not_valid_after_utc > above.not_valid_after_utc
        or certificate.not_valid_before_utc < above.not_valid_before_utc
    ):
        return "The validity reaches beyond that of the issuing certificate."
    return None


@_rule("rfc5280.subject.empty-authority", "RFC 5280 section 4.1.2.6")
def _authority_subject(subject: Subject) -> str | None:
    if subject.is_authority and not subject.certificate.subject.rdns:
        return "An authority has an empty subject."
    return None


@_rule("rfc5280.subject.too-long", "RFC 5280 appendix A.1, ub-common-name")
def _common_name_length(subject: Subject) -> str | None:
    for attribute in subject.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        if not 1 <= len(attribute.value) <= _UB_COMMON_NAME:
            return f"The common name has {len(attribute.value)} characters."
    return None


@_rule("rfc5280.san.missing", "RFC 5280 section 4.2.1.6")
def _san_present(subject: Subject) -> str | None:
    san = subject.value(x509.SubjectAlternativeName)
    if san is None and not subject.certificate.subject.rdns:
        return "Neither a subject nor a subject alternative name is present."
    if san is not None and not list(san):
        return "The subject alternative name is empty."
    return None


@_rule("rfc5280.san.criticality", "RFC 5280 section 4.2.1.6")
def _san_critical(subject: Subject) -> str | None:
    san = subject.extension(x509.SubjectAlternativeName)
    if san is not None and san.critical != (not subject.certificate.subject.rdns):
        return "The subject alternative name is critical exactly when the subject is empty."
    return None


@_rule("rfc5280.san.dns-syntax", "RFC 5280 section 4.2.1.6, RFC 1034 section 3.5")
def _san_dns(subject: Subject) -> str | None:
    for name in subject.value(x509.SubjectAlternativeName) or ():
        if isinstance(name, x509.DNSName) and not _DNS.fullmatch(name.value):
            return f"{name.value[:80]!r} is not in the preferred name syntax in lower case."
    return None


@_rule("rfc5280.basic-constraints.missing", "RFC 5280 section 4.2.1.9")
def _basic_constraints(subject: Subject) -> str | None:
    extension = subject.extension(x509.BasicConstraints)
    if extension is None or not extension.critical:
        return "basicConstraints is missing or not critical."
    return None


@_rule("rfc5280.basic-constraints.path-length", "RFC 5280 section 4.2.1.9")
def _path_length(subject: Subject) -> str | None:
    constraints = subject.value(x509.BasicConstraints)
    if constraints is not None and constraints.path_length is not None and not constraints.ca:
        return "A path length is given to a certificate that is no authority's."
    return None


@_rule("rfc5280.key-usage.missing", "RFC 5280 section 4.2.1.3")
def _key_usage(subject: Subject) -> str | None:
    extension = subject.extension(x509.KeyUsage)
    if extension is None or not extension.critical:
        return "keyUsage is missing or not critical."
    return None


@_rule("rfc5280.key-usage.cert-sign", "RFC 5280 sections 4.2.1.3 and 4.2.1.9")
def _cert_sign(subject: Subject) -> str | None:
    usage = subject.value(x509.KeyUsage)
    if usage is not None and usage.key_cert_sign != subject.is_authority:
        return "keyCertSign is set exactly for authorities."
    return None


@_rule("rfc8410.key-usage.unfit", "RFC 8410 section 5, RFC 5480 section 3")
def _usage_fits_key(subject: Subject) -> str | None:
    usage = subject.value(x509.KeyUsage)
    key = subject.certificate.public_key()
    if usage is None or isinstance(key, rsa.RSAPublicKey):
        return None
    if usage.key_encipherment or usage.data_encipherment:
        return "An EC or Ed25519 key cannot encipher."
    if isinstance(key, ed25519.Ed25519PublicKey) and usage.key_agreement:
        return "An Ed25519 key cannot agree on keys."
    return None


@_rule("rfc5280.eku.empty", "RFC 5280 section 4.2.1.12")
def _eku(subject: Subject) -> str | None:
    value = subject.value(x509.ExtendedKeyUsage)
    return "extendedKeyUsage is empty." if value is not None and not list(value) else None


@_rule("br.eku.server-name", "RFC 9525 section 2; BR section 7.1.2.7.12")
def _server_names(subject: Subject) -> str | None:
    if ExtendedKeyUsageOID.SERVER_AUTH not in subject.extended_key_usage:
        return None
    names = list(subject.value(x509.SubjectAlternativeName) or ())
    if not any(isinstance(name, x509.DNSName | x509.IPAddress) for name in names):
        return "A TLS server certificate names no DNS name and no IP address."
    common_names = subject.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    certified = {str(name.value) for name in names}
    for attribute in common_names:
        if str(attribute.value).lower() not in certified:
            return "The common name is not among the subject alternative names."
    return None


@_rule("rfc6960.responder.no-check", "RFC 6960 sections 4.2.2.2 and 4.2.2.2.1")
def _responder(subject: Subject) -> str | None:
    no_check = subject.extension(x509.OCSPNoCheck)
    signs = ExtendedKeyUsageOID.OCSP_SIGNING in subject.extended_key_usage
    if signs != (no_check is not None):
        return "id-pkix-ocsp-nocheck is present exactly in OCSP responders' certificates."
    if signs and (subject.is_authority or len(subject.extended_key_usage) != 1):
        return "An OCSP responder has no other purpose."
    return "id-pkix-ocsp-nocheck is critical." if no_check and no_check.critical else None


@_rule("rfc5280.ski.missing", "RFC 5280 section 4.2.1.2")
def _ski(subject: Subject) -> str | None:
    extension = subject.extension(x509.SubjectKeyIdentifier)
    if extension is None or extension.critical:
        return "subjectKeyIdentifier is missing or critical."
    return None


@_rule("rfc5280.aki.differs", "RFC 5280 section 4.2.1.1")
def _aki(subject: Subject) -> str | None:
    extension = subject.extension(x509.AuthorityKeyIdentifier)
    if extension is None or extension.critical or not extension.value.key_identifier:
        return "authorityKeyIdentifier is missing, critical or empty."
    expected: bytes | None
    if subject.issuer_certificate is None:
        own = subject.value(x509.SubjectKeyIdentifier)
        expected = own.digest if own is not None else None
    else:
        try:
            expected = subject.issuer_certificate.extensions.get_extension_for_class(
                x509.SubjectKeyIdentifier
            ).value.digest
        except x509.ExtensionNotFound:
            return None
    if extension.value.key_identifier != expected:
        return "authorityKeyIdentifier is not the issuing certificate's subjectKeyIdentifier."
    return None


@_rule("rfc5280.name-constraints.misplaced", "RFC 5280 section 4.2.1.10")
def _name_constraints(subject: Subject) -> str | None:
    extension = subject.extension(x509.NameConstraints)
    if extension is not None and not (subject.is_authority and extension.critical):
        return "nameConstraints is not critical, or not in an authority's certificate."
    return None


@_rule("rfc5280.status.scheme", "RFC 5280 sections 4.2.1.13, 4.2.2.1 and 8")
def _status_addresses(subject: Subject) -> str | None:
    locations: list[x509.GeneralName] = []
    points = subject.extension(x509.CRLDistributionPoints)
    for point in () if points is None else points.value:
        locations += point.full_name or ()
    access = subject.extension(x509.AuthorityInformationAccess)
    for description in () if access is None else access.value:
        locations.append(description.access_location)
    if (points is not None and points.critical) or (access is not None and access.critical):
        return "An extension with status addresses is critical."
    for location in locations:
        if not str(location.value).startswith("http://"):
            return f"The status address {location.value!r} is not plain HTTP."
    return None


@_rule("rfc5280.extension.unknown", "RFC 5280 section 4.2")
def _unknown(subject: Subject) -> str | None:
    for extension in subject.extensions:
        if isinstance(extension.value, x509.UnrecognizedExtension):
            return f"The extension {extension.oid.dotted_string} is none that we issue."
    return None


@_rule("design.key.unexpected", "design.md: P-256, P-384, RSA-2048 to 4096, Ed25519")
def _key(subject: Subject) -> str | None:
    key = subject.certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        fits = isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1)
    elif isinstance(key, rsa.RSAPublicKey):
        fits = 2048 <= key.key_size <= 4096  # noqa: PLR2004 - the source says so.
    else:
        fits = isinstance(key, ed25519.Ed25519PublicKey)
    return None if fits else "The key is of a kind or size that we do not certify."


@_rule("design.validity.fractions", "RFC 5280 section 4.1.2.5.2: no fractional seconds")
def _whole_seconds(subject: Subject) -> str | None:
    start = subject.certificate.not_valid_before_utc.astimezone(UTC)
    if start.microsecond or (subject.certificate.not_valid_after_utc - start) % timedelta(
        seconds=1
    ):
        return "A time has a fraction of a second."
    return None
