"""The prepared requests: each certificate request has a P-256 key and a name of its own."""

import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID


def csr_pem(name: str) -> str:
    """Return a PEM certificate signing request for one DNS name, by a new P-256 key."""
    key = ec.generate_private_key(ec.SECP256R1())
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
    )


def issue_request(*, host: str, token: str, csr: str, profile: str = "tls-server") -> bytes:
    """Return the bytes of one POST that asks for a certificate."""
    body = json.dumps({"csr": csr, "profile": profile}).encode()
    head = (
        f"POST /api/v1/certificates/ HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def ocsp_request(*, host: str, certificate: x509.Certificate, issuer: x509.Certificate) -> bytes:
    """Return the bytes of one POST that asks for a certificate's status (RFC 6960 appendix A.1)."""
    body = (
        ocsp.OCSPRequestBuilder()
        .add_certificate(certificate, issuer, hashes.SHA1())  # noqa: S303  # RFC 5019 clients ask so.
        .build()
        .public_bytes(Encoding.DER)
    )
    head = (
        f"POST /ocsp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/ocsp-request\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
