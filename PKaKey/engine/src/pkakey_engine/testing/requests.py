"""CSRs for tests."""

import ipaddress
from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID

from pkakey_engine.testing.signer import PrivateKey, generate_key

__all__ = ["make_csr"]


def make_csr(
    *,
    common_name: str | None = None,
    dns: Sequence[str] = (),
    ip: Sequence[str] = (),
    email: Sequence[str] = (),
    uri: Sequence[str] = (),
    subject: x509.Name | None = None,
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    private_key: PrivateKey | None = None,
    pem: bool = True,
) -> bytes:
    """Return a CSR in PEM (or DER), signed by ``private_key`` or a fresh P-256 key.

    ``subject`` wins over ``common_name``; ``extensions`` are pairs of value and criticality.
    """
    key = private_key or generate_key()
    if subject is None:
        attributes = [] if common_name is None else [(NameOID.COMMON_NAME, common_name)]
        subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    names: list[x509.GeneralName] = [x509.DNSName(value) for value in dns]
    names += [x509.IPAddress(ipaddress.ip_address(value)) for value in ip]
    names += [x509.RFC822Name(value) for value in email]
    names += [x509.UniformResourceIdentifier(value) for value in uri]
    wanted = list(extensions)
    if names:
        wanted.append((x509.SubjectAlternativeName(names), False))
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for value, critical in wanted:
        builder = builder.add_extension(value, critical)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    encoding = serialization.Encoding.PEM if pem else serialization.Encoding.DER
    return builder.sign(key, digest).public_bytes(encoding)
