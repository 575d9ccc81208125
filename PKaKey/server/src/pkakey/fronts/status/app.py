"""The WSGI application: routes, and what each answers.

A `tryLater` or 503 is all that a client sees while the database or the signer is away; nothing a
client sends makes a 500.
"""

import base64
import binascii
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes
from uuid import UUID

import psycopg
from pkakey_engine.revocation import MAX_OCSP_REQUEST_BYTES
from psycopg_pool import PoolTimeout

from pkakey.fronts.status.database import StatusDatabase
from pkakey.fronts.status.metrics import DOWNLOADS, REQUESTS
from pkakey.fronts.status.ocsp import OCSPService, ResponseSigner, SignedAnswer
from pkakey.fronts.status.wire import (
    Answer,
    BodyRefused,
    entity_tag,
    http_date,
    not_modified,
    read_body,
    say,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

logger = logging.getLogger(__name__)

MAX_CRL_AGE: Final = timedelta(seconds=60)
MAX_CERTIFICATE_AGE: Final = timedelta(hours=1)

_AUTHORITY: Final = r"(?P<authority>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_CRL: Final = re.compile(rf"/crl/{_AUTHORITY}\.crl")
_CERTIFICATE: Final = re.compile(rf"/ca/{_AUTHORITY}\.(?P<form>cer|pem)")
_READ: Final = ("GET", "HEAD")
_TIMES: Final = {what: REQUESTS.labels(what) for what in ("ocsp", "crl", "ca", "other")}
_FILES: Final = frozenset({"crl", "ca"})
_UNAVAILABLE: Final = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSettings:
    """What the front is told by `config`; it reads no environment of its own.

    `response_validity` is the time from thisUpdate to nextUpdate of an OCSP response;
    `connections` the most that one process keeps to the database.
    """

    database: str
    connections: int = 4
    response_validity: timedelta = timedelta(hours=1)
    cached_responses: int = 20_000


def create_application(
    settings: StatusSettings,
    *,
    signer: ResponseSigner,
    clock: Callable[[], datetime] = lambda: datetime.now(tz=UTC),
) -> "StatusApplication":
    """Return the WSGI application; it connects to the database at the first request."""
    database = StatusDatabase(settings.database, connections=settings.connections)
    service = OCSPService(
        database=database,
        signer=signer,
        validity=settings.response_validity,
        cached_responses=settings.cached_responses,
    )
    return StatusApplication(database=database, ocsp=service, signer=signer, clock=clock)


class StatusApplication:
    """Serves /ocsp, /crl, /ca, /healthz and /readyz (PEP 3333)."""

    def __init__(
        self,
        *,
        database: StatusDatabase,
        ocsp: OCSPService,
        signer: ResponseSigner,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._ocsp = ocsp
        self._signer = signer
        self._clock = clock

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
        """Answer one request."""
        began = perf_counter()
        try:
            answer = self._answer(environ)
        except BodyRefused as refused:
            answer = refused.answer
        except _UNAVAILABLE:
            logger.warning("The status database does not answer.", exc_info=True)
            answer = say(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The status service has no database at the moment. Ask again in some seconds.",
                ("Retry-After", "5"),
            )
        except Exception:
            # The process's edge: what nobody expected is logged, and says nothing outside.
            logger.exception("A status request failed.")
            answer = say(HTTPStatus.INTERNAL_SERVER_ERROR, "Something failed on our side.")
        what = _what(environ.get("PATH_INFO", ""))
        _TIMES[what].observe(perf_counter() - began)
        if what in _FILES:
            DOWNLOADS.labels(what, answer.status.value).inc()
        return answer.write(environ, start_response)

    def close(self) -> None:
        """Close the connections to the database."""
        self._database.close()

    def _answer(self, environ: dict[str, Any]) -> Answer:
        path: str = environ.get("PATH_INFO", "")
        method: str = environ["REQUEST_METHOD"]
        if path == "/ocsp" or path.startswith("/ocsp/"):
            return self._answer_ocsp(environ, method, path)
        if path == "/waiting":
            # Where the gateway has no healthy service to send a request to (QueWall/traefik): the
            # request was meant for that service, so any method may come.
            return say(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "This part of the platform does not answer: it is starting, or it is not well. Try "
                "again in a minute. Whoever runs the platform sees which part it is with 'ddt "
                "status --docker' or 'docker compose ps'.",
                ("Retry-After", "10"),
            )
        answer = self._route(environ, path)
        if answer is None:
            return say(
                HTTPStatus.NOT_FOUND,
                "There is nothing at this address. A certificate names its CRL, OCSP and CA "
                "addresses.",
            )
        if method not in _READ:
            return _method_refused("GET, HEAD")
        return answer()

    def _route(self, environ: dict[str, Any], path: str) -> Callable[[], Answer] | None:
        """Return what answers a GET of `path`, or None when nothing does."""
        if match := _CRL.fullmatch(path):
            return partial(self._answer_crl, environ, UUID(match["authority"]))
        if match := _CERTIFICATE.fullmatch(path):
            return partial(
                self._answer_certificate, environ, UUID(match["authority"]), match["form"]
            )
        if path == "/readyz":
            return self._answer_ready
        if path == "/healthz":
            return partial(say, HTTPStatus.OK, "The status service runs.")
        return None

    # OCSP

    def _answer_ocsp(self, environ: dict[str, Any], method: str, path: str) -> Answer:
        now = self._clock()
        encoded = path.removeprefix("/ocsp").removeprefix("/")
        if method == "POST" and not encoded:
            kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
            if kind != "application/ocsp-request":
                return say(
                    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                    "Send the request as application/ocsp-request (RFC 6960 appendix A.1).",
                )
            body = read_body(environ, at_most=MAX_OCSP_REQUEST_BYTES)
            return _ocsp_answer(self._ocsp.answer(body, now=now), ())
        if method not in _READ:
            return _method_refused("GET, HEAD" if encoded else "GET, HEAD, POST")
        if not encoded:
            return say(
                HTTPStatus.BAD_REQUEST,
                "This is an OCSP responder. POST a request, or GET /ocsp/ and the request in "
                "base64 (RFC 6960 appendix A.1).",
            )
        request = decode_get_path(encoded)
        if request is None:
            return _ocsp_answer(self._ocsp.malformed(), ())
        return _cacheable_ocsp_answer(environ, self._ocsp.answer(request, now=now))

    # CRL and AIA

    def _answer_crl(self, environ: dict[str, Any], authority_id: UUID) -> Answer:
        crl = self._database.current_crl(authority_id)
        if crl is None:
            return _not_found()
        # Never longer than a minute, so that a revocation's new CRL is not hidden by caches;
        # never past nextUpdate (RFC 5280 section 5.1.2.5).
        left = crl.next_update - self._clock()
        age = max(timedelta(), min(MAX_CRL_AGE, left))
        return _file(environ, crl.der, "application/pkix-crl", modified_at=crl.this_update, age=age)

    def _answer_certificate(self, environ: dict[str, Any], authority_id: UUID, form: str) -> Answer:
        certificate = self._database.authority_certificate(authority_id)
        if certificate is None:
            return _not_found()
        body, kind = certificate.der, "application/pkix-cert"
        if form == "pem":
            body, kind = _pem(certificate.der), "application/x-pem-file"
        return _file(
            environ, body, kind, modified_at=certificate.not_before, age=MAX_CERTIFICATE_AGE
        )

    def _answer_ready(self) -> Answer:
        self._database.check()
        if not self._ocsp.signer_answers():
            return say(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The signer does not answer, so OCSP says tryLater.",
                ("Retry-After", "5"),
            )
        return say(HTTPStatus.OK, "The status service is ready.")


def _what(path: str) -> str:
    """Return the label for a path: whoever asks cannot make new ones."""
    first = path[1:].partition("/")[0]
    return first if first in _TIMES else "other"


def decode_get_path(encoded: str) -> bytes | None:
    """Return the DER in the path of an OCSP GET, or None when it is no base64.

    `encoded` is base64 of RFC 4648 section 4, which may hold slashes, as the WSGI server left it
    after one percent-decoding; some clients encode twice. Not more than the responder reads.
    """
    if len(encoded) > MAX_OCSP_REQUEST_BYTES * 3:
        return None
    text = unquote_to_bytes(encoded) if "%" in encoded else encoded.encode("latin-1", "replace")
    # A form decoder on the way turns "+" into a space.
    text = text.replace(b" ", b"+").rstrip(b"=")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _ocsp_answer(answer: SignedAnswer, headers: tuple[tuple[str, str], ...]) -> Answer:
    # RFC 6960 appendix A.1: an OCSP error is a response too, so HTTP says 200.
    fields = headers or (("Cache-Control", "no-store"),)
    return Answer(HTTPStatus.OK, answer.der, "application/ocsp-response", fields)


def _cacheable_ocsp_answer(environ: dict[str, Any], answer: SignedAnswer) -> Answer:
    """Return the answer to a GET with the fields of RFC 5019 section 6.2.

    max-age is 0 instead of the time to nextUpdate: a cache must ask again, gets a cheap 304 while
    the status stands, and so never hides a revocation.
    """
    if answer.this_update is None or answer.next_update is None:
        return _ocsp_answer(answer, ())
    tag = entity_tag(answer.der)
    headers = (
        ("ETag", tag),
        ("Last-Modified", http_date(answer.this_update)),
        ("Expires", http_date(answer.this_update)),
        ("Cache-Control", "max-age=0, public, no-transform, must-revalidate"),
    )
    # Within one second a response may change, so Last-Modified alone is no proof: tags only.
    if "HTTP_IF_NONE_MATCH" in environ and not_modified(
        environ, tag=tag, modified_at=answer.this_update
    ):
        return Answer(HTTPStatus.NOT_MODIFIED, b"", "application/ocsp-response", headers)
    return _ocsp_answer(answer, headers)


def _file(
    environ: dict[str, Any], body: bytes, kind: str, *, modified_at: datetime, age: timedelta
) -> Answer:
    tag = entity_tag(body)
    headers = (
        ("ETag", tag),
        ("Last-Modified", http_date(modified_at)),
        ("Cache-Control", f"public, max-age={int(age.total_seconds())}, must-revalidate"),
    )
    if not_modified(environ, tag=tag, modified_at=modified_at):
        return Answer(HTTPStatus.NOT_MODIFIED, b"", kind, headers)
    return Answer(HTTPStatus.OK, body, kind, headers)


def _pem(der: bytes) -> bytes:
    text = base64.b64encode(der).decode()
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n".encode()


def _not_found() -> Answer:
    return say(
        HTTPStatus.NOT_FOUND,
        "There is no such authority here, or it has not published this yet.",
    )


def _method_refused(allow: str) -> Answer:
    return say(HTTPStatus.METHOD_NOT_ALLOWED, f"This address knows {allow} only.", ("Allow", allow))
