"""A status application on a PKI in memory: real DER and signatures, records in dictionaries."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import UUID, uuid4

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pkakey.fronts.status.app import StatusApplication
from pkakey.fronts.status.database import (
    AuthorityCertificate,
    CertificateStatusRecord,
    CurrentCRL,
    ResponderRecord,
    StatusDatabase,
)
from pkakey.fronts.status.ocsp import OCSPService
from pkakey_engine.revocation import (
    RevocationReason,
    RevokedEntry,
    complete_crl,
    intend_crl,
)
from pkakey_engine.testing import (
    AuthorityForTests,
    SoftSigner,
    make_csr,
    make_issuing_authority,
    make_ocsp_responder,
    make_root_authority,
)
from pkakey_signers.errors import SignerUnavailable

VALIDITY = timedelta(hours=1)


class RecordedDatabase(StatusDatabase):
    """Keeps the records in dictionaries, and can be away; counts what it is asked."""

    def __init__(self) -> None:
        self.certificates: dict[tuple[UUID, str], CertificateStatusRecord] = {}
        self.crls: dict[UUID, CurrentCRL] = {}
        self.authorities: dict[UUID, AuthorityCertificate] = {}
        self.responders: list[ResponderRecord] = []
        self.error: Exception | None = None
        self.status_questions = 0
        self.responder_questions = 0

    def _come(self) -> None:
        if self.error is not None:
            raise self.error

    def check(self) -> None:
        self._come()

    def certificate_status(
        self, authority_id: UUID, serial_number: str
    ) -> CertificateStatusRecord | None:
        self._come()
        self.status_questions += 1
        return self.certificates.get((authority_id, serial_number))

    def current_crl(self, authority_id: UUID) -> CurrentCRL | None:
        self._come()
        return self.crls.get(authority_id)

    def authority_certificate(self, authority_id: UUID) -> AuthorityCertificate | None:
        self._come()
        return self.authorities.get(authority_id)

    def ocsp_responders(self) -> list[ResponderRecord]:
        self._come()
        self.responder_questions += 1
        return list(self.responders)

    def close(self) -> None:
        pass


class SignerForTests:
    """Signs with keys in memory, and can be away; counts its signatures."""

    def __init__(self) -> None:
        self.keys: dict[UUID, SoftSigner] = {}
        self.is_away = False
        self.signatures = 0

    def sign(
        self, *, kind: str, key_id: UUID, intent_id: UUID | None, to_be_signed: bytes
    ) -> bytes:
        assert (kind, intent_id) == ("ocsp-response", None)
        if self.is_away:
            raise SignerUnavailable("The signer is away.")
        self.signatures += 1
        return self.keys[key_id].sign(to_be_signed)

    def health(self) -> dict[str, Any]:
        if self.is_away:
            raise SignerUnavailable("The signer is away.")
        return {"state": "ready"}


@dataclass
class Reply:
    """What a WSGI application answered."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(
    application: Callable[..., Any], method: str, path: str, body: bytes = b"", **environ: object
) -> Reply:
    """Send one request to a WSGI application, as a server would."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    full = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
        **environ,
    }
    content = b"".join(application(full, lambda line, head: started.append((line, head))))
    [(line, head)] = started
    assert len({name for name, _ in head}) == len(head), "a field came twice"
    return Reply(int(line[:3]), dict(head), content)


@dataclass
class PKI:
    """A root, an issuing authority with a responder, and the application over both."""

    now: datetime = field(default_factory=lambda: datetime.now(tz=UTC).replace(microsecond=0))
    database: RecordedDatabase = field(default_factory=RecordedDatabase)
    signer: SignerForTests = field(default_factory=SignerForTests)
    authority_id: UUID = field(default_factory=uuid4)

    def __post_init__(self) -> None:
        past = self.now - timedelta(hours=1)
        self.root = make_root_authority(now=past)
        self.authority = make_issuing_authority(self.root, now=past)
        self.add_responder(self.authority, self.authority_id)
        service = OCSPService(
            database=self.database, signer=self.signer, validity=VALIDITY, cached_responses=100
        )
        self.application = StatusApplication(
            database=self.database, ocsp=service, signer=self.signer, clock=lambda: self.now
        )
        self.service = service

    def add_responder(self, authority: AuthorityForTests, authority_id: UUID) -> UUID:
        certificate, signer = make_ocsp_responder(authority, now=self.now - timedelta(hours=1))
        key_id = uuid4()
        self.signer.keys[key_id] = signer
        der = authority.certificate.public_bytes(Encoding.DER)
        self.database.authorities[authority_id] = AuthorityCertificate(
            der, authority.certificate.not_valid_before_utc
        )
        self.database.responders.append(
            ResponderRecord(authority_id, key_id, der, certificate.public_bytes(Encoding.DER))
        )
        return key_id

    def issue(self, name: str = "web.example.test") -> x509.Certificate:
        certificate = self.authority.issue(make_csr(dns=[name]), now=self.now)
        key = (self.authority_id, f"{certificate.serial_number:x}")
        self.database.certificates[key] = CertificateStatusRecord(None, None)
        return certificate

    def revoke(self, certificate: x509.Certificate, reason: RevocationReason) -> None:
        key = (self.authority_id, f"{certificate.serial_number:x}")
        self.database.certificates[key] = CertificateStatusRecord(self.now, reason.value)

    def publish_crl(self, number: int = 1) -> bytes:
        entries = [
            RevokedEntry(int(serial, 16), record.revoked_at, RevocationReason(record.reason))
            for (_, serial), record in self.database.certificates.items()
            if record.revoked_at is not None and record.reason is not None
        ]
        intended = intend_crl(
            issuer=self.authority.issuer,
            crl_number=number,
            entries=entries,
            now=self.now,
            next_update=self.now + timedelta(days=1),
        )
        der = complete_crl(intended, self.authority.signer.sign(intended.to_be_signed))
        self.database.crls[self.authority_id] = CurrentCRL(
            der, self.now, self.now + timedelta(days=1)
        )
        return der

    def ask(self, method: str, path: str, body: bytes = b"", **environ: object) -> Reply:
        return ask(self.application, method, path, body, **environ)

    def post_ocsp(self, request: bytes) -> Reply:
        return self.ask("POST", "/ocsp", request, CONTENT_TYPE="application/ocsp-request")
