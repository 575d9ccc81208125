"""The authority that will sign: its name, its key, its rules and its published addresses."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from typing import TypeVar
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from pkakey_engine.der import BIT_STRING, SEQUENCE, Reader
from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.keys import PublicKey, SignatureAlgorithm, signature_algorithm, spki_der

__all__ = ["Issuer", "key_identifier", "subject_public_key_bits"]

ExtensionT = x509.Extension[x509.ExtensionType]
T = TypeVar("T", bound=x509.ExtensionType)


def subject_public_key_bits(public_key: PublicKey) -> bytes:
    """Return the content of the subjectPublicKey BIT STRING, which key identifiers are made of."""
    spki = Reader(spki_der(public_key)).enter(SEQUENCE)
    spki.element()
    return spki.content(BIT_STRING)[1:]


def key_identifier(public_key: PublicKey) -> bytes:
    """Return the key identifier: the first 20 octets of SHA-256 (RFC 7093 section 2, method 1)."""
    return hashlib.sha256(subject_public_key_bits(public_key)).digest()[:20]


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or not url.isascii():
        # RFC 5280 section 8: fetching status over HTTPS would need the status it fetches.
        raise ValueError(f"A status address must be a plain http:// URL; {url!r} came.")


@dataclass(frozen=True, eq=False)
class Issuer:
    """An authority as the engine sees it. Keep one per authority: it caches what it derives.

    Two issuers are equal only when they are the same object (public keys have no hash).

    ``certificate`` is None for a root that is just being made. ``chain`` holds the authorities
    above it, nearest first; their name constraints and path lengths bind too. The addresses go into
    the certificates that it issues (CRL distribution point, OCSP, CA certificate); plain HTTP.
    """

    certificate: x509.Certificate | None
    subject_name: x509.Name
    public_key: PublicKey
    crl_urls: tuple[str, ...] = ()
    ocsp_urls: tuple[str, ...] = ()
    ca_issuer_urls: tuple[str, ...] = ()
    chain: tuple[x509.Certificate, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for url in (*self.crl_urls, *self.ocsp_urls, *self.ca_issuer_urls):
            _check_url(url)

    @classmethod
    def from_certificate(
        cls,
        certificate: x509.Certificate,
        *,
        crl_urls: tuple[str, ...] = (),
        ocsp_urls: tuple[str, ...] = (),
        ca_issuer_urls: tuple[str, ...] = (),
        chain: tuple[x509.Certificate, ...] = (),
    ) -> "Issuer":
        """Return the issuer that the certificate describes; raise ``Refused`` for an unusable key.

        Whether the certificate may issue at all is checked when it is asked to.
        """
        public_key = certificate.public_key()
        signature_algorithm(public_key)  # type: ignore[arg-type]  # Refuses other kinds of key.
        return cls(
            certificate=certificate,
            subject_name=certificate.subject,
            public_key=public_key,  # type: ignore[arg-type]  # As above.
            crl_urls=tuple(crl_urls),
            ocsp_urls=tuple(ocsp_urls),
            ca_issuer_urls=tuple(ca_issuer_urls),
            chain=tuple(chain),
        )

    @staticmethod
    @lru_cache(maxsize=256)
    def from_certificate_der(
        certificate_der: bytes,
        *,
        crl_urls: tuple[str, ...] = (),
        ocsp_urls: tuple[str, ...] = (),
        ca_issuer_urls: tuple[str, ...] = (),
        chain_der: tuple[bytes, ...] = (),
    ) -> "Issuer":
        """Return ``from_certificate`` of DER bytes, remembered: the same bytes, the same object.

        Raises ValueError when the bytes are no certificate.
        """
        return Issuer.from_certificate(
            x509.load_der_x509_certificate(certificate_der),
            crl_urls=crl_urls,
            ocsp_urls=ocsp_urls,
            ca_issuer_urls=ca_issuer_urls,
            chain=tuple(x509.load_der_x509_certificate(der) for der in chain_der),
        )

    @classmethod
    def self_signed(cls, subject_name: x509.Name, public_key: PublicKey) -> "Issuer":
        """Return the issuer of a root certificate that does not exist yet."""
        return cls(certificate=None, subject_name=subject_name, public_key=public_key)

    @cached_property
    def signature_algorithm(self) -> SignatureAlgorithm:
        """How this authority signs."""
        return signature_algorithm(self.public_key)

    @cached_property
    def public_key_sha256(self) -> str:
        """SHA-256 (hex) of the authority's SubjectPublicKeyInfo."""
        return hashlib.sha256(spki_der(self.public_key)).hexdigest()

    @cached_property
    def key_identifier(self) -> bytes:
        """The subject key identifier of the authority's certificate, or the one it will have."""
        if self.certificate is not None:
            value = _extension(self.certificate, x509.SubjectKeyIdentifier)
            if value is not None:
                return value.digest
        return key_identifier(self.public_key)

    @cached_property
    def authority_key_identifier(self) -> ExtensionT:
        """The extension that points from an issued certificate or CRL to this authority's key."""
        value = x509.AuthorityKeyIdentifier(self.key_identifier, None, None)
        return x509.Extension(value.oid, False, value)  # noqa: FBT003 - cryptography's order.

    @cached_property
    def crl_extension(self) -> ExtensionT | None:
        """The CRL distribution points of issued certificates (RFC 5280 section 4.2.1.13)."""
        if not self.crl_urls:
            return None
        names = [x509.UniformResourceIdentifier(url) for url in self.crl_urls]
        value = x509.CRLDistributionPoints([x509.DistributionPoint(names, None, None, None)])
        return x509.Extension(value.oid, False, value)  # noqa: FBT003 - cryptography's order.

    def information_access(self, *, ocsp: bool, ca_issuers: bool) -> ExtensionT | None:
        """Return the authority information access extension (RFC 5280 section 4.2.2.1)."""
        key = (ocsp, ca_issuers)
        if key not in self._information_access:
            parts = [(AuthorityInformationAccessOID.OCSP, url) for url in self.ocsp_urls if ocsp]
            parts += [
                (AuthorityInformationAccessOID.CA_ISSUERS, url)
                for url in self.ca_issuer_urls
                if ca_issuers
            ]
            self._information_access[key] = _access_extension(parts)
        return self._information_access[key]

    @cached_property
    def _information_access(self) -> dict[tuple[bool, bool], ExtensionT | None]:
        return {}

    @cached_property
    def name_constraints(self) -> tuple[x509.NameConstraints, ...]:
        """The name constraints of this authority and of those above it."""
        found = (_extension(c, x509.NameConstraints) for c in self._authorities)
        return tuple(value for value in found if value is not None)

    @property
    def _authorities(self) -> tuple[x509.Certificate, ...]:
        own = () if self.certificate is None else (self.certificate,)
        return own + self.chain

    @cached_property
    def remaining_path_length(self) -> int | None:
        """How many authorities may follow below this one; None: as many as wanted.

        RFC 5280 section 6.1.4: each authority of the path uses up one, self-issued ones do not.
        """
        remaining: int | None = None
        for certificate in reversed(self._authorities):
            if remaining is not None and certificate.subject != certificate.issuer:
                remaining -= 1
            constraints = _extension(certificate, x509.BasicConstraints)
            own = constraints.path_length if constraints is not None else None
            if own is not None:
                remaining = own if remaining is None else min(remaining, own)
        return remaining

    @cached_property
    def not_before(self) -> datetime | None:
        """The first second of the authority's certificate; None while there is none."""
        return self.certificate.not_valid_before_utc if self.certificate is not None else None

    @cached_property
    def not_after(self) -> datetime | None:
        """The last second in which the whole chain is valid; None while there is no certificate."""
        if not self._authorities:
            return None
        return min(certificate.not_valid_after_utc for certificate in self._authorities)

    @cached_property
    def _authority_problem(self) -> Refused | None:
        """What forbids this certificate to issue whatever the time, found once."""
        if self.certificate is None:
            return None
        constraints = _extension(self.certificate, x509.BasicConstraints)
        if constraints is None or not constraints.ca:
            return Refused(
                Refusal.ISSUER_NOT_A_CA,
                "The issuer's certificate is not that of an authority (basicConstraints CA).",
            )
        usage = _extension(self.certificate, x509.KeyUsage)
        if usage is not None and not usage.key_cert_sign:
            return Refused(
                Refusal.ISSUER_KEY_USAGE,
                "The issuer's certificate does not permit it to sign certificates (keyCertSign).",
            )
        if (self.remaining_path_length or 0) < 0:
            return Refused(
                Refusal.ISSUER_PATH_LENGTH,
                "The issuer itself lies below the path length that an authority above it allows.",
            )
        return None

    def check_may_issue(self, now: datetime) -> None:
        """Raise ``Refused`` (issuer.*) unless the authority may sign certificates at ``now``."""
        problem = self._authority_problem
        if problem is not None:
            raise Refused(problem.refusal, problem.detail)
        if self.not_after is not None and now > self.not_after:
            raise Refused(
                Refusal.ISSUER_EXPIRED,
                f"The issuing authority expired at {self.not_after:%Y-%m-%d %H:%M:%S} UTC; "
                "use another authority.",
            )
        if self.not_before is not None and now < self.not_before:
            raise Refused(
                Refusal.ISSUER_NOT_YET_VALID,
                f"The issuing authority is valid from {self.not_before:%Y-%m-%d %H:%M:%S} UTC on; "
                "check this machine's clock.",
            )


def _access_extension(parts: list[tuple[x509.ObjectIdentifier, str]]) -> ExtensionT | None:
    if not parts:
        return None
    value = x509.AuthorityInformationAccess(
        [x509.AccessDescription(oid, x509.UniformResourceIdentifier(url)) for oid, url in parts]
    )
    return x509.Extension(value.oid, False, value)  # noqa: FBT003 - cryptography's order.


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
