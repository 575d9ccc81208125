"""The signer's decisions: what a request may have. Knows no socket."""

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from uuid import UUID

from cryptography import x509

from pkakey_signers import rules
from pkakey_signers.algorithms import Algorithm, is_signed_by
from pkakey_signers.combining import Combiner
from pkakey_signers.errors import SignerRefusal, SignerRefused
from pkakey_signers.figures import SIGNED, SignatureFigures
from pkakey_signers.frames import Frame
from pkakey_signers.intents import IntentSource, SigningIntent
from pkakey_signers.keystore import HeldKey, Keystore
from pkakey_signers.lines import say
from pkakey_signers.log import SignatureRecord, parse_line
from pkakey_signers.log_index import LogIndex
from pkakey_signers.log_writer import LogWriter
from pkakey_signers.protocol import (
    KINDS_OF_PURPOSE,
    MAX_CERTIFICATE_BYTES,
    Kind,
    Operation,
    Purpose,
    read_choice,
    read_request_id,
    read_uuid,
)

_RULES: Mapping[Kind, Callable[[bytes, HeldKey], str]] = {
    Kind.CERTIFICATE: rules.check_certificate,
    Kind.CRL: rules.check_crl,
    Kind.OCSP_RESPONSE: rules.check_ocsp_response,
}


@dataclass(frozen=True)
class _Task:
    kind: Kind
    key: HeldKey
    intent_id: UUID
    to_be_signed: bytes
    tbs_sha256: str
    request_id: str


class Signer:
    """Answers requests, from any number of threads.

    ``log`` (synced) holds certificates and CRLs and ``index`` finds them by intent;
    ``response_log`` (not synced) holds OCSP responses, of which there may be thousands a second.
    """

    def __init__(
        self,
        *,
        keystore: Keystore,
        intents: IntentSource,
        log: LogWriter,
        index: LogIndex,
        response_log: LogWriter,
        process_id: int,
    ) -> None:
        self._keystore = keystore
        self._intents = intents
        self._log = log
        self._index = index
        self._response_log = response_log
        self._process_id = process_id
        self._figures = SignatureFigures()
        # Each lane signs for one batch at a time, so that no intent is signed twice at once. What
        # is long takes a lane of its own; an intent's bytes decide its lane, always the same.
        self._lane: Combiner[_Task, bytes | Exception] = Combiner(self._sign_all)
        self._long_lane: Combiner[_Task, bytes | Exception] = Combiner(self._sign_all)
        self._activation = threading.Lock()
        self._operations: Mapping[Operation, Callable[[Frame], Frame]] = {
            Operation.GENERATE_KEY: self._generate_key,
            Operation.PUBLIC_KEY: self._public_key,
            Operation.ACTIVATE_AUTHORITY: self._activate_authority,
            Operation.SIGN: self._sign,
            Operation.HEALTH: self._health,
            Operation.METRICS: self._metrics,
        }

    def answer(self, request: Frame) -> Frame:
        """Return the answer's frame, a refusal being one of them."""
        try:
            return self._operations[read_choice(request.header, "op", Operation)](request)
        except SignerRefused as error:
            return refusal_frame(error)

    def _generate_key(self, request: Frame) -> Frame:
        header = request.header
        try:
            algorithm = Algorithm(str(header.get("algorithm")))
        except ValueError:
            raise SignerRefused(
                SignerRefusal.KEY_ALGORITHM,
                f"The algorithm is not one of: {', '.join(Algorithm)}.",
            ) from None
        purpose = read_choice(header, "purpose", Purpose)
        key = self._keystore.generate(read_uuid(header, "key_id"), algorithm, purpose)
        return _accepted(key.public_key_der)

    def _public_key(self, request: Frame) -> Frame:
        return _accepted(self._keystore.get(read_uuid(request.header, "key_id")).public_key_der)

    def _health(self, _request: Frame) -> Frame:
        database = self._intents.problem()
        log = self._log.failure or self._response_log.failure
        damaged = sorted(str(key_id) for key_id in self._keystore.damaged())
        return Frame(
            {
                "ok": True,
                "state": "degraded" if database or log or damaged else "ready",
                "database": database or "ok",
                "log": log or "ok",
                "keys": len(self._keystore.held_keys()),
                "damaged_keys": damaged[:20],
                "signatures": self._log.position.sequence,
                "pid": self._process_id,
            }
        )

    def _metrics(self, _request: Frame) -> Frame:
        return _accepted(self._figures.to_json())

    def _activate_authority(self, request: Frame) -> Frame:
        key_id = read_uuid(request.header, "key_id")
        try:
            certificate = x509.load_der_x509_certificate(request.attachment)
            _ = certificate.extensions
        except (ValueError, x509.DuplicateExtension):
            raise SignerRefused(
                SignerRefusal.AUTHORITY_CERTIFICATE, "What came is no certificate in DER."
            ) from None
        with self._activation:
            key = self._keystore.get(key_id)
            if rules.public_key_octets(certificate) != key.public_key_der:
                raise SignerRefused(
                    SignerRefusal.AUTHORITY_CERTIFICATE,
                    f"The certificate is not over the public key of {key_id}.",
                )
            issuer = self._find_issuer(certificate, key)
            rules.check_authority_certificate(certificate, key, issuer)
            if key.certificate != certificate:
                self._keystore.record_certificate(key_id, certificate)
        return _accepted()

    def _find_issuer(self, certificate: x509.Certificate, key: HeldKey) -> HeldKey:
        """Return the held key that signed the certificate: the key itself or an active authority.

        So only what this signer signed, by its rules and with an intent, becomes an authority.
        """
        is_self_issued = certificate.issuer.public_bytes() == certificate.subject.public_bytes()
        for candidate in self._keystore.held_keys():
            if candidate.purpose is not Purpose.AUTHORITY:
                continue
            if candidate.key_id == key.key_id:
                is_named = is_self_issued
            else:
                is_named = (
                    candidate.authority is not None
                    and candidate.authority.subject == certificate.issuer.public_bytes()
                )
            if is_named and is_signed_by(
                candidate.public_key_der,
                certificate.signature,
                certificate.tbs_certificate_bytes,
            ):
                return candidate
        raise SignerRefused(
            SignerRefusal.AUTHORITY_CERTIFICATE,
            "No key of this signer has signed the certificate; activate its issuer first.",
        )

    def _sign(self, request: Frame) -> Frame:
        began = perf_counter()
        kind = read_choice(request.header, "kind", Kind)
        request_id = read_request_id(request.header)
        algorithm, outcome = "", str(SignerRefusal.SIGNER_FAILED)
        try:
            key = self._keystore.get(read_uuid(request.header, "key_id"))
            algorithm = key.algorithm
            signature = self._signature(request, kind, key, request_id)
            outcome = SIGNED
        except SignerRefused as error:
            outcome = error.code
            # Told here as well: who asked may be what is broken.
            say(f"A {kind} was refused: {error}", level="warning", request_id=request_id)
            raise
        finally:
            self._figures.count(kind, algorithm, outcome, perf_counter() - began)
        return _accepted(signature)

    def _signature(self, request: Frame, kind: Kind, key: HeldKey, request_id: str) -> bytes:
        header, to_be_signed = request.header, request.attachment
        if kind not in KINDS_OF_PURPOSE[key.purpose]:
            raise SignerRefused(
                SignerRefusal.KEY_PURPOSE,
                f"The key {key.key_id} is for {key.purpose} and does not sign a {kind}.",
            )
        if kind is Kind.OCSP_RESPONSE:
            # No intent: a response says only what the database says already, and only for days
            # (docs/adr/0002-the-signer-is-a-process.md).
            record = _sign_by_rules(
                kind, key, None, to_be_signed, _sha256(to_be_signed), request_id
            )
            self._response_log.append([record])
            return record.signature
        if header.get("intent_id") is None:
            raise SignerRefused(
                SignerRefusal.INTENT_MISSING, f"A {kind} is signed only for a recorded intent."
            )
        intent_id = read_uuid(header, "intent_id")
        task = _Task(kind, key, intent_id, to_be_signed, _sha256(to_be_signed), request_id)
        lane = self._long_lane if len(to_be_signed) > MAX_CERTIFICATE_BYTES else self._lane
        outcome = lane.ask(task)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _sign_all(self, tasks: Sequence[_Task]) -> Sequence[bytes | Exception]:
        """Do step 2 of docs/flows/issuance.md: look intents up, judge, sign, log, answer.

        One database round trip and one disk sync for all tasks. Each fails or succeeds alone,
        unless the database or the log fails.
        """
        intents = self._intents.find_all([task.intent_id for task in tasks])
        outcomes: list[bytes | Exception] = []
        made: dict[UUID, SignatureRecord] = {}
        for task, intent in zip(tasks, intents, strict=True):
            try:
                _require_intent(task, intent)
                signature = self._signed_before(task)
                if signature is None:
                    # A task that comes twice is one signature; its bytes are the intent's.
                    if task.intent_id not in made:
                        made[task.intent_id] = _sign_by_rules(
                            task.kind,
                            task.key,
                            task.intent_id,
                            task.to_be_signed,
                            task.tbs_sha256,
                            task.request_id,
                        )
                    signature = made[task.intent_id].signature
            except Exception as error:  # noqa: BLE001  # One task's failure is not the others'.
                outcomes.append(error)
            else:
                outcomes.append(signature)
        self._log.append(list(made.values()))
        return outcomes

    def _signed_before(self, task: _Task) -> bytes | None:
        place = self._index.find(task.intent_id)
        if place is None:
            return None
        try:
            record = parse_line(self._log.read(*place)).record
        except ValueError:
            raise _tampered(task.intent_id) from None
        if (record.intent_id, record.kind, record.key_id) != (
            task.intent_id,
            task.kind,
            task.key.key_id,
        ):
            raise _tampered(task.intent_id)
        if record.tbs_sha256 != task.tbs_sha256:
            raise _bytes_differ(task.intent_id, "were signed before")
        if not is_signed_by(task.key.public_key_der, record.signature, task.to_be_signed):
            raise _tampered(task.intent_id)
        return record.signature


def _sign_by_rules(
    kind: Kind,
    key: HeldKey,
    intent_id: UUID | None,
    to_be_signed: bytes,
    tbs_sha256: str,
    request_id: str,
) -> SignatureRecord:
    serial_number = _RULES[kind](to_be_signed, key)
    signature = key.sign(to_be_signed)
    return SignatureRecord(
        kind, key.key_id, intent_id, serial_number, tbs_sha256, signature, request_id
    )


def _require_intent(task: _Task, intent: SigningIntent | None) -> None:
    intent_id = task.intent_id
    if intent is None:
        raise SignerRefused(SignerRefusal.INTENT_UNKNOWN, f"No intent {intent_id} is recorded.")
    if intent.key_id != task.key.key_id:
        raise SignerRefused(
            SignerRefusal.INTENT_OTHER_KEY,
            f"The intent {intent_id} is for the key {intent.key_id}, not {task.key.key_id}.",
        )
    if intent.kind != task.kind:
        raise SignerRefused(
            SignerRefusal.INTENT_OTHER_KIND,
            f"The intent {intent_id} is for a {intent.kind}, not a {task.kind}.",
        )
    if intent.tbs_sha256 != task.tbs_sha256:
        raise _bytes_differ(intent_id, "were recorded")
    if not intent.is_open:
        raise SignerRefused(
            SignerRefusal.INTENT_CLOSED,
            f"The intent {intent_id} is closed; nothing more is signed for it.",
        )


def refusal_frame(error: SignerRefused, *, close: bool = False) -> Frame:
    """Return the answer that refuses; ``close`` says that the connection ends with it."""
    header: dict[str, Any] = {"ok": False, "code": str(error.code), "detail": error.detail[:300]}
    if close:
        header["close"] = True
    return Frame(header)


def _accepted(attachment: bytes = b"") -> Frame:
    return Frame({"ok": True}, attachment)


def _sha256(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def _bytes_differ(intent_id: UUID, which: str) -> SignerRefused:
    return SignerRefused(
        SignerRefusal.INTENT_BYTES_DIFFER,
        f"The bytes are not those that {which} for the intent {intent_id}.",
    )


def _tampered(intent_id: UUID) -> SignerRefused:
    return SignerRefused(
        SignerRefusal.LOG_TAMPERED,
        f"The log's entry for the intent {intent_id} was changed; compare the log with its backup.",
    )
