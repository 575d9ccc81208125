"""Authorities for tests, made by the engine itself and signed by a SoftSigner."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from pkakey_engine.issuance import (
    IntendedCertificate,
    Issuer,
    authority_subject,
    complete_certificate,
    intend_authority,
    intend_certificate,
    intend_ocsp_responder,
    parse_csr,
    shipped_profile,
)
from pkakey_engine.ports import Signer
from pkakey_engine.testing.signer import SoftSigner

__all__ = [
    "AuthorityForTests",
    "make_issuing_authority",
    "make_ocsp_responder",
    "make_root_authority",
]

_CRL = ("http://pki.test/crl/1.crl",)
_OCSP = ("http://pki.test/ocsp",)
_CA = ("http://pki.test/ca/1.cer",)


@dataclass(frozen=True)
class AuthorityForTests:
    """An authority with its key in memory; ``issuer`` is what the engine takes."""

    issuer: Issuer
    signer: Signer
    certificate: x509.Certificate

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """This authority's certificate and those above it."""
        return (self.certificate, *self.issuer.chain)

    def sign(self, intended: IntendedCertificate) -> x509.Certificate:
        """Return the certificate that the intended one becomes."""
        signature = self.signer.sign(intended.tbs_certificate)
        return x509.load_der_x509_certificate(complete_certificate(intended, signature))

    def issue(
        self,
        csr: bytes,
        *,
        now: datetime,
        profile: str = "tls-server",
        validity: timedelta | None = None,
    ) -> x509.Certificate:
        """Return a certificate for the CSR by the shipped profile; raises ``Refused``."""
        return self.sign(
            intend_certificate(
                request=parse_csr(csr),
                profile=shipped_profile(profile),
                issuer=self.issuer,
                now=now,
                validity=validity,
            )
        )


def pem(certificate: x509.Certificate) -> bytes:
    """Return the certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _finish(
    signer: Signer, certificate: x509.Certificate, chain: tuple[x509.Certificate, ...]
) -> AuthorityForTests:
    issuer = Issuer.from_certificate(
        certificate, crl_urls=_CRL, ocsp_urls=_OCSP, ca_issuer_urls=_CA, chain=chain
    )
    return AuthorityForTests(issuer, signer, certificate)


def make_root_authority(
    *, now: datetime, algorithm: str = "ecdsa-p256", common_name: str = "Test Root"
) -> AuthorityForTests:
    """Return a self-signed root."""
    signer = SoftSigner.generate(algorithm, for_tests=True)
    intended = intend_authority(
        subject=authority_subject(common_name, "Tests"),
        public_key=signer.public_key,
        profile=shipped_profile("root-ca"),
        issuer=None,
        now=now,
    )
    der = complete_certificate(intended, signer.sign(intended.tbs_certificate))
    return _finish(signer, x509.load_der_x509_certificate(der), ())


def make_issuing_authority(
    root: AuthorityForTests,
    *,
    now: datetime,
    algorithm: str = "ecdsa-p256",
    common_name: str = "Test Issuing CA",
    permitted: Sequence[x509.GeneralName] = (),
    excluded: Sequence[x509.GeneralName] = (),
) -> AuthorityForTests:
    """Return an issuing authority under ``root``, with name constraints if any are given."""
    signer = SoftSigner.generate(algorithm, for_tests=True)
    intended = intend_authority(
        subject=authority_subject(common_name, "Tests"),
        public_key=signer.public_key,
        profile=shipped_profile("issuing-ca"),
        issuer=root.issuer,
        now=now,
        permitted=permitted,
        excluded=excluded,
    )
    return _finish(signer, root.sign(intended), root.chain)


def make_ocsp_responder(
    authority: AuthorityForTests, *, now: datetime, algorithm: str = "ecdsa-p256"
) -> tuple[x509.Certificate, SoftSigner]:
    """Return a delegated OCSP responder's certificate and signer."""
    signer = SoftSigner.generate(algorithm, for_tests=True)
    intended = intend_ocsp_responder(
        subject=authority_subject("Test OCSP responder"),
        public_key=signer.public_key,
        profile=shipped_profile("ocsp-signer"),
        issuer=authority.issuer,
        now=now,
    )
    return authority.sign(intended), signer
