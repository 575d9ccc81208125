"""What a drill looks at in a restored database: each check returns a sentence or raises.

It is a second pair of eyes: nothing of PKaKey's own code is used, only the standards.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from ddt.backup.database import count_rows, rows
from ddt.errors import TroubleError

NEWEST = 1000
"""So many of the newest certificates of each authority have their signature checked."""

Connection = psycopg.Connection[tuple[Any, ...]]


def compare_counts(connection: Connection, name: str, expected: dict[str, int]) -> str:
    """Compare the rows of each table with what the backup counted in its snapshot."""
    found = count_rows(connection)
    wrong = [
        f"{table} has {found.get(table, 0)} of {expected.get(table, 0)}"
        for table in sorted(found.keys() | expected.keys())
        if found.get(table) != expected.get(table)
    ]
    if wrong:
        raise TroubleError(f"Rows are missing or too many in {name}: {'; '.join(wrong[:5])}.")
    return f"{len(found)} tables of {name} have their {sum(found.values())} rows."


def check_audit(connection: Connection) -> str:
    """Compute each audit entry's leaf hash again (RFC 9162 section 2.1.1)."""
    count = 0
    for number, data, leaf in rows(
        connection, "SELECT id, data, leaf_hash FROM audit_entry ORDER BY id"
    ):
        count += 1
        if hashlib.sha256(b"\x00" + data.encode()).digest() != bytes(leaf):
            raise TroubleError(f"The audit entry {number} differs from its hash.")
    if not count:
        raise TroubleError("The audit log is empty.")
    return f"{count} audit entries have their hashes."


@dataclass(frozen=True)
class Authority:
    """An authority in the restored database."""

    name: str
    certificate: x509.Certificate
    last_crl_number: int


def authorities(connection: Connection) -> dict[str, Authority]:
    """Return the active authorities by their id."""
    return {
        str(row[0]): Authority(row[1], x509.load_der_x509_certificate(bytes(row[2])), row[3])
        for row in rows(
            connection,
            "SELECT id, name, certificate_der, last_crl_number FROM authorities_authority "
            "WHERE state = 'active' AND certificate_der IS NOT NULL",
        )
    }


def check_chain(connection: Connection) -> str:
    """Verify that each authority is signed by its parent, up to a root, and signed its newest."""
    known = authorities(connection)
    parents = {
        str(row[0]): str(row[1] or row[0])
        for row in rows(connection, "SELECT id, parent_id FROM authorities_authority")
    }
    for number, authority in known.items():
        parent = known.get(parents[number])
        if parent is None:
            raise TroubleError(f"The authority {authority.name} has no issuer in the backup.")
        _verify(authority.certificate, parent.certificate, authority.name)
    if not known:
        raise TroubleError("There is no active authority in the backup.")
    count = 0
    for number, authority in known.items():
        for serial, der in rows(
            connection,
            "SELECT serial_number, der FROM certificates_certificate WHERE authority_id = %s "
            "ORDER BY issued_at DESC LIMIT %s",
            number,
            NEWEST,
        ):
            _verify(x509.load_der_x509_certificate(bytes(der)), authority.certificate, serial)
            count += 1
    return f"{len(known)} authorities and their {count} newest certificates verify."


def _verify(certificate: x509.Certificate, issuer: x509.Certificate, name: str) -> None:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise TroubleError(
            f"The certificate {name} was not signed by {issuer.subject.rfc4514_string()}: "
            f"{str(error) or type(error).__name__}.",
        ) from error


def check_crls(connection: Connection) -> str:
    """Check each newest CRL: signature, number (RFC 5280 section 5.2.3), and every revocation."""
    told = []
    for number, authority in authorities(connection).items():
        newest = list(
            rows(
                connection,
                "SELECT number, der, this_update FROM authorities_crl WHERE authority_id = %s "
                "ORDER BY number DESC LIMIT 1",
                number,
            )
        )
        if not newest:
            raise TroubleError(f"The authority {authority.name} has no CRL.")
        crl_number, der, this_update = newest[0]
        crl = x509.load_der_x509_crl(bytes(der))
        written = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        if not written == crl_number <= authority.last_crl_number:
            raise TroubleError(
                f"The CRL of {authority.name} has the number {written}; the database says "
                f"{crl_number}, of {authority.last_crl_number} that were given out.",
            )
        # cryptography's stubs narrow the keys; every algorithm of an authority may sign a CRL.
        if not crl.is_signature_valid(authority.certificate.public_key()):  # type: ignore[arg-type]
            raise TroubleError(f"The CRL {crl_number} of {authority.name} has a wrong signature.")
        listed = {entry.serial_number for entry in crl}
        for (serial,) in rows(
            connection,
            "SELECT serial_number FROM certificates_certificate WHERE authority_id = %s "
            "AND revoked_at < %s AND not_after > %s",
            number,
            this_update,
            this_update,
        ):
            if int(serial, 16) not in listed:
                raise TroubleError(f"The CRL of {authority.name} lacks the revoked {serial}.")
        told.append(f"{authority.name}: {crl_number}, {len(listed)} revoked")
    return f"CRL numbers, signatures and entries are right ({'; '.join(told)})."


def check_ocsp(connection: Connection, url: str, host: str) -> str:
    """Ask the restored status service (RFC 6960) for a good and a revoked one of each authority."""
    asked = 0
    for number, authority in authorities(connection).items():
        for wanted in ("revoked_at IS NULL", "revoked_at IS NOT NULL"):
            query = (
                "SELECT der, revoked_at FROM certificates_certificate WHERE authority_id = %s "
                "AND not_after > %s AND revoked_at IS NULL ORDER BY issued_at DESC LIMIT 1"
                if wanted == "revoked_at IS NULL"
                else "SELECT der, revoked_at FROM certificates_certificate WHERE authority_id = %s "
                "AND not_after > %s AND revoked_at IS NOT NULL ORDER BY issued_at DESC LIMIT 1"
            )
            for der, revoked_at in list(rows(connection, query, number, datetime.now(UTC))):
                certificate = x509.load_der_x509_certificate(bytes(der))
                _ask(url, host, certificate, authority, is_revoked=revoked_at is not None)
                asked += 1
    if not asked:
        raise TroubleError("There is no certificate in the backup that OCSP could be asked about.")
    return f"{asked} OCSP answers are right and verify."


def _ask(
    url: str, host: str, certificate: x509.Certificate, authority: Authority, *, is_revoked: bool
) -> None:
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        certificate,
        authority.certificate,
        SHA1(),  # noqa: S303  # The hash that all clients use.
    )
    serial = f"{certificate.serial_number:x}"
    try:
        response = httpx.post(
            url, content=builder.build().public_bytes(Encoding.DER), trust_env=False, timeout=30,
            headers={"Content-Type": "application/ocsp-request", "Host": host},
        )  # fmt: skip
        answer = ocsp.load_der_ocsp_response(response.content)
    except (httpx.HTTPError, ValueError) as error:
        raise TroubleError(f"OCSP gave no answer about {serial}: {error}.") from error
    if answer.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise TroubleError(f"OCSP answered '{answer.response_status.name}' about {serial}.")
    wanted = ocsp.OCSPCertStatus.REVOKED if is_revoked else ocsp.OCSPCertStatus.GOOD
    if answer.serial_number != certificate.serial_number or answer.certificate_status != wanted:
        raise TroubleError(
            f"OCSP says '{answer.certificate_status.name}' of {serial}, which is {wanted.name}.",
        )
    signer = answer.certificates[0] if answer.certificates else authority.certificate
    if signer != authority.certificate:
        _verify(signer, authority.certificate, "of the OCSP responder")
    _check_signature(answer, signer)


def _check_signature(answer: ocsp.OCSPResponse, signer: x509.Certificate) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa  # noqa: PLC0415

    key, algorithm = signer.public_key(), answer.signature_hash_algorithm
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            key.verify(answer.signature, answer.tbs_response_bytes, padding.PKCS1v15(), algorithm)
        else:
            # Ed25519, Ed448, ML-DSA: the algorithm is the key's own.
            key.verify(answer.signature, answer.tbs_response_bytes)  # type: ignore[union-attr,call-arg]
    except InvalidSignature:
        raise TroubleError("An OCSP answer has a wrong signature.") from None
