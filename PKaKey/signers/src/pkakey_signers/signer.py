"""The signer's decisions: what a request may have. Knows no socket."""

import hashlib
import threading
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from cryptography import x509

from pkakey_signers import rules
from pkakey_signers.algorithms import Algorithm, is_signed_by
from pkakey_signers.errors import SignerRefusal, SignerRefused
from pkakey_signers.frames import Frame
from pkakey_signers.intents import IntentSource
from pkakey_signers.keystore import HeldKey, Keystore
from pkakey_signers.log import parse_line
from pkakey_signers.log_index import LogIndex
from pkakey_signers.log_writer import LogWriter
from pkakey_signers.protocol import (
    KINDS_OF_PURPOSE,
    Kind,
    Operation,
    Purpose,
    read_choice,
    read_uuid,
)

_STRIPES = 256

_RULES: Mapping[Kind, Callable[[bytes, HeldKey], str]] = {
    Kind.CERTIFICATE: rules.check_certificate,
    Kind.CRL: rules.check_crl,
    Kind.OCSP_RESPONSE: rules.check_ocsp_response,
}


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
        # Two requests for one intent must not both find it unsigned.
        self._stripes = [threading.Lock() for _ in range(_STRIPES)]
        self._activation = threading.Lock()
        self._operations: Mapping[Operation, Callable[[Frame], Frame]] = {
            Operation.GENERATE_KEY: self._generate_key,
            Operation.PUBLIC_KEY: self._public_key,
            Operation.ACTIVATE_AUTHORITY: self._activate_authority,
            Operation.SIGN: self._sign,
            Operation.HEALTH: self._health,
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
        header, to_be_signed = request.header, request.attachment
        kind = read_choice(header, "kind", Kind)
        key = self._keystore.get(read_uuid(header, "key_id"))
        if kind not in KINDS_OF_PURPOSE[key.purpose]:
            raise SignerRefused(
                SignerRefusal.KEY_PURPOSE,
                f"The key {key.key_id} is for {key.purpose} and does not sign a {kind}.",
            )
        if kind is Kind.OCSP_RESPONSE:
            # No intent: a response says only what the database says already, and only for days
            # (docs/adr/0002-the-signer-is-a-process.md).
            return _accepted(self._sign_now(kind, key, None, to_be_signed, self._response_log))
        if header.get("intent_id") is None:
            raise SignerRefused(
                SignerRefusal.INTENT_MISSING, f"A {kind} is signed only for a recorded intent."
            )
        intent_id = read_uuid(header, "intent_id")
        # Step 2 (docs/flows/issuance.md): look the intent up, judge, sign, log, answer.
        with self._stripes[hash(intent_id) % _STRIPES]:
            self._require_intent(intent_id, kind, key, to_be_signed)
            signature = self._signed_before(intent_id, kind, key, to_be_signed)
            if signature is None:
                signature = self._sign_now(kind, key, intent_id, to_be_signed, self._log)
        return _accepted(signature)

    def _require_intent(
        self, intent_id: UUID, kind: Kind, key: HeldKey, to_be_signed: bytes
    ) -> None:
        intent = self._intents.find(intent_id)
        if intent is None:
            raise SignerRefused(SignerRefusal.INTENT_UNKNOWN, f"No intent {intent_id} is recorded.")
        if intent.key_id != key.key_id:
            raise SignerRefused(
                SignerRefusal.INTENT_OTHER_KEY,
                f"The intent {intent_id} is for the key {intent.key_id}, not {key.key_id}.",
            )
        if intent.kind != kind:
            raise SignerRefused(
                SignerRefusal.INTENT_OTHER_KIND,
                f"The intent {intent_id} is for a {intent.kind}, not a {kind}.",
            )
        if intent.tbs_sha256 != _sha256(to_be_signed):
            raise _bytes_differ(intent_id, "were recorded")
        if not intent.is_open:
            raise SignerRefused(
                SignerRefusal.INTENT_CLOSED,
                f"The intent {intent_id} is closed; nothing more is signed for it.",
            )

    def _signed_before(
        self, intent_id: UUID, kind: Kind, key: HeldKey, to_be_signed: bytes
    ) -> bytes | None:
        place = self._index.find(intent_id)
        if place is None:
            return None
        try:
            entry = parse_line(self._log.read(*place))
        except ValueError:
            raise _tampered(intent_id) from None
        if entry.intent_id != intent_id or (entry.kind, entry.key_id) != (kind, key.key_id):
            raise _tampered(intent_id)
        if entry.tbs_sha256 != _sha256(to_be_signed):
            raise _bytes_differ(intent_id, "were signed before")
        if not is_signed_by(key.public_key_der, entry.signature, to_be_signed):
            raise _tampered(intent_id)
        return entry.signature

    def _sign_now(
        self, kind: Kind, key: HeldKey, intent_id: UUID | None, to_be_signed: bytes, log: LogWriter
    ) -> bytes:
        serial_number = _RULES[kind](to_be_signed, key)
        signature = key.sign(to_be_signed)
        log.append(
            kind=kind,
            key_id=key.key_id,
            intent_id=intent_id,
            serial_number=serial_number,
            tbs_sha256=_sha256(to_be_signed),
            signature=signature,
        )
        return signature


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
