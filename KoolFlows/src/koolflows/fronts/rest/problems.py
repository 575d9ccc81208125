"""Problem documents (RFC 9457): every error of the API in one form, as in PKaKey's.

A code names one problem for good; `type` is that code as a URN.
"""

import logging
import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import psycopg
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response
from theddt_identity import KeysUnavailable, TokenRefused

from koolflows.services.errors import (
    Conflict,
    DiagramRefused,
    FlowError,
    NotFound,
    NotPermitted,
    ServiceUnavailable,
    ValuesRefused,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:theddt:problem:"
RETRY_AFTER_SECONDS: Final = 5
MAX_BODY_BYTES: Final = 2 * 1024 * 1024


class Problem(Exception):  # noqa: N818  # RFC 9457's word for it.
    """An error by its code, with its status, a title, and a sentence for the client."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = list(errors)


def answer_problem(error: Exception, context: Mapping[str, Any]) -> Response:
    """Return the problem document for any exception (DRF's EXCEPTION_HANDLER).

    What nobody expected is answered by 500 with a reference only; the log has the rest under it.
    """
    reference = uuid.uuid4().hex[:12]
    problem = _known(error)
    if problem is None:
        path = getattr(context.get("request"), "path", "")
        logger.error(
            "A request failed. Reference %s.", reference, exc_info=error, extra={"path": path}
        )
        problem = Problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal",
            "Internal error",
            f"Something failed on our side. Reference {reference}: an operator finds it in the "
            "log. Repeat the request with the same Idempotency-Key.",
        )
    return render(problem, reference)


def render(problem: Problem, reference: str) -> Response:
    """Return the response for a problem; `instance` names this one occurrence."""
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + problem.code,
        "title": problem.title,
        "status": int(problem.status),
        "detail": problem.detail,
        "code": problem.code,
        "instance": f"urn:theddt:occurrence:{reference}",
        "reference": reference,
    }
    if problem.errors:
        body["errors"] = problem.errors
    return Response(
        body,
        status=int(problem.status),
        content_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **problem.headers},
    )


def unauthenticated(code: str, detail: str) -> Problem:
    """Return 401 with the challenge of RFC 6750 section 3."""
    suffix = "" if code == "token.missing" else ', error="invalid_token"'
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        code,
        "Not signed in",
        detail,
        headers={"WWW-Authenticate": f'Bearer realm="theDDT"{suffix}'},
    )


def body_problem(code: str, detail: str) -> Problem:
    """Return the problem of a body that cannot be read."""
    status = (
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE if code == "body.too-large" else HTTPStatus.BAD_REQUEST
    )
    return Problem(status, code, "Unreadable request", detail)


def _unavailable(what: str) -> Problem:
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "service.unavailable",
        "Service unavailable",
        f"{what} at the moment. Repeat the request in some seconds, with the same Idempotency-Key "
        "if it had one; nothing is done twice.",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def _known(error: Exception) -> Problem | None:  # noqa: PLR0911  # One line a kind.
    match error:
        case Problem():
            return error
        case TokenRefused():
            return unauthenticated(error.code, error.detail)
        case KeysUnavailable():
            return _unavailable("The keys that tokens are checked by cannot be had")
        case NotPermitted():
            return Problem(HTTPStatus.FORBIDDEN, error.code, "Not permitted", error.detail)
        case NotFound():
            return Problem(
                HTTPStatus.NOT_FOUND,
                "resource.not-found",
                "Not found",
                f"There is no such {error.what} in this namespace that you may see.",
            )
        case Conflict():
            return Problem(HTTPStatus.CONFLICT, error.code, "Conflict", error.detail)
        case ServiceUnavailable():
            return _unavailable(error.detail.rstrip("."))
        case FlowError():
            return _of_flow(error)
        case exceptions.APIException():
            return _of_framework(error)
        case _:
            return _of_django(error)


def _of_django(error: Exception) -> Problem | None:
    match error:
        case Http404():
            return path_not_found()
        case RequestDataTooBig():
            return body_problem("body.too-large", f"At most {MAX_BODY_BYTES} octets are read.")
        case SuspiciousOperation() | UnreadablePostError():
            return body_problem("body.unreadable", "The request could not be read to its end.")
        case (
            OperationalError()
            | InterfaceError()
            | psycopg.OperationalError()
            | psycopg.InterfaceError()
        ):
            return _unavailable("The database does not answer")
        case _:
            return None


def _of_flow(error: FlowError) -> Problem:
    if isinstance(error, DiagramRefused):
        findings = [finding._asdict() for finding in error.findings]
        return Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            error.code,
            "Diagram refused",
            error.detail,
            errors=findings,
        )
    if isinstance(error, ValuesRefused):
        fields = [{"name": name, "detail": detail} for name, detail in error.errors.items()]
        return Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            error.code,
            "Values refused",
            error.detail,
            errors=fields,
        )
    place = f" (at {error.element})" if error.element else ""
    status = HTTPStatus.CONFLICT if error.code == "task.gone" else HTTPStatus.UNPROCESSABLE_ENTITY
    return Problem(status, error.code, "Step refused", error.detail + place)


def path_not_found() -> Problem:
    """Return the problem for an address of nothing."""
    return Problem(
        HTTPStatus.NOT_FOUND,
        "path.not-found",
        "Not found",
        "There is nothing at this address. Addresses end with a slash, and `openapi.json` lists "
        "every one.",
    )


def _of_framework(error: exceptions.APIException) -> Problem:
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return unauthenticated(
            "token.missing", "No token came. Send `Authorization: Bearer TOKEN`."
        )
    if isinstance(error, exceptions.MethodNotAllowed):
        return Problem(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "method.not-allowed",
            "Method not allowed",
            "This address does not know that method. The Allow field names those that it does.",
        )
    if isinstance(error, exceptions.UnsupportedMediaType):
        return Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "body.media-type",
            "Media type not known",
            "Send `Content-Type: application/json`.",
        )
    if isinstance(error, exceptions.ParseError):
        return body_problem("body.not-json", "The request body is not JSON. Send one JSON object.")
    return Problem(
        HTTPStatus(error.status_code), "request.refused", "Refused", "The request was refused."
    )
