"""The gateway's own certificate, issued by our issuing authority and renewed in time."""

import logging
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from pkakey.services.issuance import issue_certificate
from pkakey.services.issuing_authority import issuing_authority
from pkakey.services.namespace_walk import each_namespace
from pkakey.services.namespaces import DEFAULT
from pkakey.services.outside import Outside
from pkakey.services.principals import Principal
from pkakey.services.records import Told, record
from pkakey.services.results import IssuedCertificate
from pkakey.services.secret_files import write_file
from pkakey.store.context import acting_as

logger = logging.getLogger(__name__)

PROFILE = "tls-server"
FILE = "tls.pem"


def renew_gateway_certificate(outside: Outside, *, now: datetime) -> bool:
    """Write a new certificate when there is no good one or two thirds of its life have passed.

    Writes `root.pem` and `tls.pem` (the private key, the certificate and its issuers, without the
    root) into the gateway's folder. Key and certificate are one file, which the gateway reads as
    both: in two, it may read the new one of the first and the old one of the second, and then
    answers nobody. Returns whether it wrote. Without such a folder, or before the first start has
    made the authorities, there is nothing to do.
    """
    folder = outside.gateway_tls_dir
    principal = next((p for p in each_namespace("gateway") if p.namespace == DEFAULT), None)
    if folder is None or principal is None:
        return False
    names = gateway_names(outside.domain)
    root = issuing_authority(outside, principal, None).chain[-1]
    present = _present(folder, root)
    if present is not None and _is_good(present, names, now):
        return False
    key = ec.generate_private_key(ec.SECP256R1())
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    issued = issue_certificate(
        outside,
        principal=principal,
        csr=csr.public_bytes(Encoding.DER),
        profile=PROFILE,
        now=now,
        source="gateway",
    )
    # The platform itself needs nobody's approval for its own name.
    assert isinstance(issued, IssuedCertificate)  # noqa: S101
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificates = "".join([issued.pem, *issued.chain[:-1]]).encode()
    # The root first: the gateway's file changes only once all the rest is there.
    write_file(folder / "root.pem", root.encode(), mode=0o644)
    write_file(folder / FILE, private + certificates)
    _tell(principal, issued, present, now)
    return True


def gateway_names(domain: str) -> list[str]:
    """Return the DNS names that the gateway answers to."""
    return [f"pkakey.{domain}", domain, f"*.{domain}"]


def _present(folder: Path, root: str) -> x509.Certificate | None:
    """Return the certificate in use if its key fits and it comes from the present root."""
    try:
        pair = (folder / FILE).read_bytes()
        certificate = x509.load_pem_x509_certificate(pair)
        key = load_pem_private_key(pair, None)
        same_root = (folder / "root.pem").read_text() == root
    except (OSError, ValueError):
        return None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    fits = key.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)
    return certificate if fits and same_root else None


def _is_good(certificate: x509.Certificate, names: list[str], now: datetime) -> bool:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    certified = certificate.extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    ).value.get_values_for_type(x509.DNSName)
    return set(names) <= set(certified) and start <= now < start + (end - start) * 2 / 3


def _tell(
    principal: Principal,
    issued: IssuedCertificate,
    previous: x509.Certificate | None,
    now: datetime,
) -> None:
    with acting_as(principal):
        record(
            principal=principal,
            now=now,
            action="gateway-certificate.renewed",
            target=issued.serial_number,
            details={"not_after": issued.not_after.isoformat()},
            told=Told(
                type="gateway-certificate.renewed",
                payload={
                    "certificate_id": str(issued.id),
                    "serial_number": issued.serial_number,
                    "previous_serial_number": (
                        format(previous.serial_number, "x") if previous else None
                    ),
                    "not_after": issued.not_after.isoformat(),
                },
            ),
        )
