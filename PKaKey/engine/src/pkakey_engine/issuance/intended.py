"""What the engine decides to have signed, and how the signature is joined to it."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from pkakey_engine import der
from pkakey_engine.errors import SignedBytesDiffer
from pkakey_engine.issuance.capture import draft_certificate
from pkakey_engine.issuance.describe import ExtensionInWords, describe_certificate
from pkakey_engine.issuance.serials import serial_hex
from pkakey_engine.keys import (
    PublicKey,
    SignatureAlgorithm,
    signature_algorithm,
    signature_is_valid,
)
from pkakey_engine.names import Name

__all__ = ["IntendedCertificate", "complete_certificate", "complete_certificate_from_parts"]


@dataclass(frozen=True, slots=True)
class IntendedCertificate:
    """A certificate that is decided in every octet but its signature.

    ``tbs_certificate`` is the exact DER to be signed with ``signature_algorithm`` by the holder of
    ``issuer_public_key``. ``subject`` is in RFC 4514 form (empty where names say it all);
    ``public_key_sha256`` is the hex SHA-256 of the subject's SubjectPublicKeyInfo.
    """

    serial_number: int
    tbs_certificate: bytes
    signature_algorithm: SignatureAlgorithm
    issuer_public_key: PublicKey
    not_before: datetime
    not_after: datetime
    subject: str
    names: tuple[Name, ...]
    profile_name: str
    profile_version: int
    profile_digest: str
    public_key_sha256: str

    @property
    def to_be_signed(self) -> bytes:
        """The bytes for the signer: the same name on intended certificates, CRLs and responses."""
        return self.tbs_certificate

    @property
    def serial_hex(self) -> str:
        """The serial number in lower-case hex without a prefix."""
        return serial_hex(self.serial_number)

    def draft(self) -> x509.Certificate:
        """Return a certificate object to read from; its signature is a placeholder."""
        return draft_certificate(self.tbs_certificate, self.signature_algorithm.identifier_der)

    def describe(self) -> list[ExtensionInWords]:
        """Return every extension in words, for a preview of exactly what will be issued."""
        return describe_certificate(self.draft())


def complete_certificate(intended: IntendedCertificate, signature: bytes) -> bytes:
    """Return the certificate in DER; raise ``SignedBytesDiffer`` unless the signature fits it."""
    return complete_certificate_from_parts(
        intended.tbs_certificate, signature, intended.issuer_public_key
    )


def complete_certificate_from_parts(
    tbs: bytes, signature: bytes, issuer_public_key: PublicKey
) -> bytes:
    """Return the certificate in DER from stored to-be-signed bytes and the signer's signature.

    Raises ``SignedBytesDiffer`` unless the signature is the issuer's over exactly these bytes and
    the result reads back as a certificate with exactly these bytes inside.
    """
    if not signature_is_valid(issuer_public_key, signature, tbs):
        raise SignedBytesDiffer(
            "The signature is not the issuer's over the intended TBSCertificate."
        )
    certificate_der = der.sequence(
        tbs, signature_algorithm(issuer_public_key).identifier_der, der.bit_string(signature)
    )
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
    except ValueError as error:
        raise SignedBytesDiffer("The signed bytes do not read back as a certificate.") from error
    if certificate.tbs_certificate_bytes != tbs:
        raise SignedBytesDiffer("The certificate read back differs from the intended bytes.")
    return certificate_der
