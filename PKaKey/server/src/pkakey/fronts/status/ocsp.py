"""OCSP (RFC 6960, profiled by RFC 5019; nonces by RFC 9654): bytes in, a signed response out.

The status is read from the database for every request. Only the signature is reused: a response
without a nonce is kept, under the very status it states, for half of its validity. So a cached
"good" cannot outlive a revocation: the next request looks up another key.
"""

import logging
import threading
from collections.abc import Hashable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import psycopg
from pkakey_engine.errors import Refused, SignedBytesDiffer
from pkakey_engine.revocation import (
    CertID,
    CertificateStatus,
    OCSPAnswer,
    OCSPError,
    OCSPRequest,
    RevocationReason,
    complete_ocsp_response,
    intend_ocsp_response,
    ocsp_error,
    parse_ocsp_request,
)
from pkakey_signers.errors import SignerError
from psycopg_pool import PoolTimeout

from pkakey.fronts.status.database import StatusDatabase
from pkakey.fronts.status.metrics import OCSP, SIGNED
from pkakey.fronts.status.responders import KnownResponder, Responders

logger = logging.getLogger(__name__)

# One look-up for all, since thousands are answered a second.
_RESPONSES: Final = {status: OCSP.labels(status.name.lower()) for status in CertificateStatus}
_ERRORS: Final = {error: OCSP.labels(error.name.lower()) for error in OCSPError}

_DATABASE_AWAY: Final = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)


class ResponseSigner(Protocol):
    """The part of the signer's client that OCSP needs."""

    def sign(
        self, *, kind: str, key_id: UUID, intent_id: UUID | None, to_be_signed: bytes
    ) -> bytes:
        """Return the signature over the bytes; raises `SignerError`."""
        ...

    def health(self) -> dict[str, Any]:
        """Return the signer's account of itself; raises `SignerError`."""
        ...


class SignedAnswer(NamedTuple):
    """A DER response. The times are None for an OCSP error, and for an answer to a nonce."""

    der: bytes
    this_update: datetime | None = None
    next_update: datetime | None = None


class _Kept(NamedTuple):
    answer: SignedAnswer
    fresh_from: datetime
    fresh_until: datetime


def _error(error: OCSPError) -> SignedAnswer:
    """Return the OCSP error (RFC 6960 section 2.3), counted."""
    _ERRORS[error].inc()
    return SignedAnswer(ocsp_error(error))


class ResponseCache:
    """Signed responses of one process, at most `limit`; the oldest make room.

    Reads take no lock: a dictionary look-up is one step for every thread.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: dict[Hashable, _Kept] = {}
        self._writing = threading.Lock()

    def get(self, key: Hashable, *, now: datetime) -> SignedAnswer | None:
        """Return a response that is in the first half of its validity, or None."""
        kept = self._kept.get(key)
        # A clock that was set back must not hand out responses from the future.
        if kept is None or not kept.fresh_from <= now < kept.fresh_until:
            return None
        return kept.answer

    def put(self, key: Hashable, answer: SignedAnswer, *, now: datetime, until: datetime) -> None:
        """Keep a response from `now` until `until`, or until newer ones need its room."""
        with self._writing:
            self._kept.pop(key, None)
            while len(self._kept) >= self._limit:
                # Dictionaries keep their order, so the first is the oldest.
                del self._kept[next(iter(self._kept))]
            self._kept[key] = _Kept(answer, now, until)

    def __len__(self) -> int:
        return len(self._kept)


class OCSPService:
    """Answers OCSP requests for every authority that has a responder."""

    def __init__(
        self,
        *,
        database: StatusDatabase,
        signer: ResponseSigner,
        validity: timedelta,
        cached_responses: int,
    ) -> None:
        self._database = database
        self._signer = signer
        self._validity = validity
        self._responders = Responders(database)
        self._cache = ResponseCache(cached_responses)

    def answer(self, request_der: bytes, *, now: datetime) -> SignedAnswer:
        """Return the response to a request in DER; never raises for what a client or peer does.

        Malformed: malformedRequest. An issuer without a responder of ours: unauthorized (RFC 5019
        section 2.2.3). Database or signer away: tryLater.
        """
        try:
            request = parse_ocsp_request(request_der)
        except Refused:
            return self.malformed()
        try:
            return self._answer(request, now)
        except _DATABASE_AWAY:
            logger.warning("The status database does not answer.", exc_info=True)
        except SignerError:
            logger.warning("The signer gave no signature for an OCSP response.", exc_info=True)
        except Refused:
            logger.exception("An OCSP responder's certificate cannot be used; renew it.")
        except SignedBytesDiffer:
            logger.critical("ALARM: the signer's OCSP signature does not fit.", exc_info=True)
            return _error(OCSPError.INTERNAL_ERROR)
        return _error(OCSPError.TRY_LATER)

    @staticmethod
    def malformed() -> SignedAnswer:
        """Return the answer to what is no OCSP request."""
        return _error(OCSPError.MALFORMED_REQUEST)

    def signer_answers(self) -> bool:
        """Tell whether the signer is there."""
        try:
            self._signer.health()
        except SignerError:
            return False
        return True

    def _answer(self, request: OCSPRequest, now: datetime) -> SignedAnswer:
        known = self._responder_for(request.certificates, now)
        if known is None:
            return _error(OCSPError.UNAUTHORIZED)
        answers = tuple(self._status(known.authority_id, asked) for asked in request.certificates)
        answer = self._signed(known, answers, now, request.nonce)
        for each in answers:
            _RESPONSES[each.status].inc()
        return answer

    def _signed(
        self,
        known: KnownResponder,
        answers: tuple[OCSPAnswer, ...],
        now: datetime,
        nonce: bytes | None,
    ) -> SignedAnswer:
        """Return a response that says this: a kept one, or a new one."""
        if nonce is not None:
            return self._sign(known, answers, now, nonce)
        key = (known.key_id, answers)
        kept = self._cache.get(key, now=now)
        if kept is None:
            kept = self._sign(known, answers, now, None)
            if kept.next_update is not None:
                # The window ends earlier where the responder's certificate does.
                half = (kept.next_update - now) / 2
                self._cache.put(key, kept, now=now, until=now + half)
        return kept

    def _responder_for(self, asked: Iterable[CertID], now: datetime) -> KnownResponder | None:
        """Return the one responder for all that is asked about.

        None when there is none, or when the issuers differ: a delegated responder speaks for its
        own authority only, and a response has one signature.
        """
        found = {
            self._responders.find(
                (one.hash_name, one.issuer_name_hash, one.issuer_key_hash), now=now
            )
            for one in asked
        }
        return found.pop() if len(found) == 1 else None

    def _status(self, authority_id: UUID, asked: CertID) -> OCSPAnswer:
        recorded = self._database.certificate_status(authority_id, f"{asked.serial_number:x}")
        if recorded is None:
            # Never issued: "unknown", never "good" (RFC 6960 section 2.2).
            return OCSPAnswer(asked, CertificateStatus.UNKNOWN)
        if recorded.revoked_at is None:
            return OCSPAnswer(asked, CertificateStatus.GOOD)
        reason = RevocationReason(recorded.reason or RevocationReason.UNSPECIFIED)
        return OCSPAnswer(asked, CertificateStatus.REVOKED, recorded.revoked_at, reason)

    def _sign(
        self,
        known: KnownResponder,
        answers: tuple[OCSPAnswer, ...],
        now: datetime,
        nonce: bytes | None,
    ) -> SignedAnswer:
        intended = intend_ocsp_response(
            answers=answers,
            responder=known.responder,
            now=now,
            next_update=now + self._validity,
            nonce=nonce,
        )
        signature = self._signer.sign(
            kind="ocsp-response",
            key_id=known.key_id,
            intent_id=None,
            to_be_signed=intended.to_be_signed,
        )
        response = complete_ocsp_response(intended, signature)
        SIGNED.inc()
        if nonce is not None:
            return SignedAnswer(response)
        return SignedAnswer(response, intended.produced_at, intended.next_update)
