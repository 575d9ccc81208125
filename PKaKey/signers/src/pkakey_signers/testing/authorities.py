"""Builders for tests: to-be-signed bytes and authorities, by ``cryptography``'s own builders.

Not for production. Nothing here uses the signer's rules, so that tests do not agree with
themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, cast
from uuid import UUID, uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes,
    CertificatePublicKeyTypes,
)
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pkakey_signers.client import SignerClient
from pkakey_signers.private_keys import private_key_at_the_signer

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROOT_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test Root")])
LEAF_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()


_SHORT_FORM_LIMIT = 128


class RecordsIntents(Protocol):
    """Stands for the store: keeps an intent and returns its id."""

    def record(
        self, tbs: bytes, key_id: UUID, *, kind: str = "certificate", state: str = "open"
    ) -> UUID:
        """Record an intent for these bytes."""


class Captured(Exception):  # noqa: N818
    """Carries the to-be-signed bytes out of a builder."""

    def __init__(self, tbs: bytes) -> None:
        super().__init__()
        self.tbs = tbs


def name(common_name: str) -> x509.Name:
    """Return a name with only this common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def to_be_signed(
    sign: Callable[[CertificateIssuerPrivateKeyTypes], object], public_key_der: bytes
) -> bytes:
    """Return what a builder's ``sign`` would have signed with the key of this public key."""

    def capture(tbs: bytes) -> bytes:
        raise Captured(tbs)

    try:
        sign(private_key_at_the_signer(public_key_der, capture))
    except Captured as captured:
        return captured.tbs
    raise AssertionError("The builder signed nothing.")


def hash_for(public_key_der: bytes) -> Any:  # noqa: ANN401
    """Return the hash a builder needs for this key: None for Ed25519."""
    key = load_der_public_key(public_key_der)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return None
    is_p384 = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp384r1"
    return hashes.SHA384() if is_p384 else hashes.SHA256()


def key_usage(*, ca: bool, crl_sign: bool = True) -> x509.KeyUsage:
    """Return the key usage of an authority or of an end entity."""
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca and crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def certificate_tbs(  # noqa: PLR0913  # Each is what one test bends.
    public_key_der: bytes,
    *,
    issuer: x509.Name = ROOT_NAME,
    subject: x509.Name | None = None,
    subject_key: CertificatePublicKeyTypes = LEAF_KEY,
    not_before: datetime = NOW,
    not_after: datetime = NOW + timedelta(days=90),
    ca: bool = False,
    path_length: int | None = None,
    usage: x509.KeyUsage | None = None,
    serial_number: int | None = None,
    extra: x509.ExtensionType | None = None,
) -> bytes:
    """Return a TBSCertificate to be signed by the key of ``public_key_der``."""
    builder = (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject or name("leaf"))
        .public_key(subject_key)
        .serial_number(serial_number or x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
        .add_extension(usage or key_usage(ca=ca), critical=True)
    )
    if extra is not None:
        builder = builder.add_extension(extra, critical=False)
    algorithm = hash_for(public_key_der)
    return to_be_signed(lambda key: builder.sign(key, algorithm), public_key_der)


def crl_tbs(
    public_key_der: bytes,
    *,
    issuer: x509.Name = ROOT_NAME,
    number: int | None = 1,
    revoked: int = 2,
    days: int = 7,
) -> bytes:
    """Return a TBSCertList to be signed by the key of ``public_key_der``."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer)
        .last_update(NOW)
        .next_update(NOW + timedelta(days=days))
    )
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    for serial in range(1, revoked + 1):
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW)
        builder = builder.add_revoked_certificate(entry.build())
    algorithm = hash_for(public_key_der)
    return to_be_signed(lambda key: builder.sign(key, algorithm), public_key_der)


def response_tbs(
    public_key_der: bytes,
    *,
    responder: x509.Certificate,
    by: ocsp.OCSPResponderEncoding = ocsp.OCSPResponderEncoding.HASH,
    window: timedelta | None = timedelta(days=1),
) -> bytes:
    """Return a ResponseData whose ResponderID is that of ``responder``."""
    builder = ocsp.OCSPResponseBuilder().responder_id(by, responder)
    builder = builder.add_response_by_hash(
        issuer_name_hash=bytes(20),
        issuer_key_hash=bytes(20),
        serial_number=5,
        algorithm=hashes.SHA1(),  # noqa: S303
        cert_status=ocsp.OCSPCertStatus.GOOD,
        this_update=datetime.now(UTC).replace(microsecond=0),
        next_update=None if window is None else datetime.now(UTC).replace(microsecond=0) + window,
        revocation_time=None,
        revocation_reason=None,
    )
    algorithm = hash_for(public_key_der)
    return to_be_signed(lambda key: builder.sign(key, algorithm), public_key_der)


@dataclass
class Authority:
    """A key at the signer with its activated certificate."""

    client: SignerClient
    database: RecordsIntents
    key_id: UUID
    public_key_der: bytes
    certificate: x509.Certificate

    @property
    def name(self) -> x509.Name:
        """The authority's own name."""
        return self.certificate.subject

    def tbs(self, **changes: Any) -> bytes:  # noqa: ANN401  # What certificate_tbs takes.
        """Return a TBSCertificate below this authority."""
        return certificate_tbs(self.public_key_der, **{"issuer": self.name, **changes})

    def sign(self, tbs: bytes, kind: str = "certificate") -> bytes:
        """Record an intent and let the signer sign it."""
        intent_id = self.database.record(tbs, self.key_id, kind=kind)
        return self.client.sign(
            kind=kind, key_id=self.key_id, intent_id=intent_id, to_be_signed=tbs
        )


def assemble(tbs: bytes, signature: bytes) -> x509.Certificate:
    """Put a certificate together from its parts, independently of the signer's own code."""
    bits = b"\x00" + signature
    body = tbs + _algorithm_identifier(tbs) + b"\x03" + _length(len(bits)) + bits
    return x509.load_der_x509_certificate(b"\x30" + _length(len(body)) + body)


def _length(count: int) -> bytes:
    if count < _SHORT_FORM_LIMIT:
        return bytes((count,))
    octets = count.to_bytes((count.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


def _algorithm_identifier(tbs: bytes) -> bytes:
    for known in (
        "300a06082a8648ce3d040302",
        "300a06082a8648ce3d040303",
        "300d06092a864886f70d01010b0500",
        "300506032b6570",
    ):
        if bytes.fromhex(known) in tbs[:64]:
            return bytes.fromhex(known)
    raise AssertionError("No known signature algorithm.")


def make_root(
    client: SignerClient,
    database: RecordsIntents,
    *,
    algorithm: str = "ecdsa-p256",
    subject: x509.Name = ROOT_NAME,
    path_length: int | None = 1,
    usage: x509.KeyUsage | None = None,
) -> Authority:
    """Make a key, sign its own certificate through the signer, and activate it."""
    key_id = uuid4()
    public_key_der = client.generate_key(key_id=key_id, algorithm=algorithm, purpose="authority")
    tbs = certificate_tbs(
        public_key_der,
        issuer=subject,
        subject=subject,
        subject_key=cast("CertificatePublicKeyTypes", load_der_public_key(public_key_der)),
        not_after=NOW + timedelta(days=3650),
        ca=True,
        path_length=path_length,
        usage=usage,
    )
    intent_id = database.record(tbs, key_id)
    signature = client.sign(
        kind="certificate", key_id=key_id, intent_id=intent_id, to_be_signed=tbs
    )
    certificate = assemble(tbs, signature)
    client.activate_authority(key_id=key_id, certificate_der=certificate.public_bytes(Encoding.DER))
    return Authority(client, database, key_id, public_key_der, certificate)


def make_below(
    issuer: Authority,
    *,
    purpose: str = "authority",
    common_name: str = "Test Issuing",
    activate: bool = True,
) -> Authority:
    """Make a key whose certificate ``issuer`` signs: an issuing CA or a responder."""
    key_id = uuid4()
    public_key_der = issuer.client.generate_key(
        key_id=key_id, algorithm="ecdsa-p256", purpose=purpose
    )
    is_ca = purpose == "authority"
    tbs = issuer.tbs(
        subject=name(common_name),
        subject_key=cast("CertificatePublicKeyTypes", load_der_public_key(public_key_der)),
        ca=is_ca,
        path_length=0 if is_ca else None,
        not_after=NOW + timedelta(days=1000),
        extra=None if is_ca else x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]),
    )
    certificate = assemble(tbs, issuer.sign(tbs))
    if activate:
        issuer.client.activate_authority(
            key_id=key_id, certificate_der=certificate.public_bytes(Encoding.DER)
        )
    return Authority(issuer.client, issuer.database, key_id, public_key_der, certificate)
