"""Problem documents (RFC 9457): every error of the API in one form.

A code names one problem for good; `type` is that code as a URN, so that a client compares one
string. `PROBLEMS` is the only map from codes to statuses and titles: every refusal of the engine
and every error of the services is in it once, which a test holds.
"""

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import psycopg
from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import InterfaceError, OperationalError
from django.http import Http404, UnreadablePostError
from pkakey_engine.errors import Refused
from rest_framework import exceptions
from rest_framework.response import Response
from theddt_identity.errors import REASONS

from pkakey.fronts.rest.problem_kinds import PROBLEMS, ProblemKind
from pkakey.services.errors import (
    Conflict,
    NotFound,
    NotPermitted,
    ServiceError,
    ServiceUnavailable,
    Unauthenticated,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:theddt:problem:"
RETRY_AFTER_SECONDS: Final = 5
MAX_BODY_BYTES: Final = 1024 * 1024

# Takes the one kind of exception that stands beside it in `_MEANINGS`.
_Meaning = Callable[[Any], "Problem"]


class InvalidField(NamedTuple):
    """One field that cannot be read: its name, a stable code, and what to send instead."""

    name: str
    code: str
    detail: str


class Problem(Exception):  # noqa: N818  # RFC 9457's word for it.
    """An error that the front itself found, by its code and with a sentence for the client."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[InvalidField] = (),
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = tuple(errors)


class InvalidFields(Problem):
    """Some fields of a body or query cannot be read; all of them are named at once."""

    def __init__(self, errors: Sequence[InvalidField]) -> None:
        names = ", ".join(dict.fromkeys(error.name for error in errors))
        super().__init__(
            "request.invalid",
            f"Some fields cannot be read: {names}. `errors` says what to send in each.",
            errors=errors,
        )


def answer_problem(error: Exception, context: Mapping[str, Any]) -> Response:
    """Return the problem document for any exception (DRF's EXCEPTION_HANDLER).

    What nobody expected is answered by 500 with a reference only; the log has the rest under it.
    """
    problem = _known(error)
    reference = uuid.uuid4().hex[:12]
    if problem is None:
        logger.error(
            "A request failed. Reference %s.",
            reference,
            exc_info=error,
            extra={"path": _path(context)},
        )
        problem = Problem(
            "internal",
            f"Something failed on our side. Reference {reference}: an operator finds it in the "
            "log. Repeat the request with the same Idempotency-Key.",
        )
    elif kind_of(problem.code).status >= 500:  # noqa: PLR2004  # RFC 9110: a server error.
        logger.warning(
            "A request could not be served (%s). Reference %s.",
            problem.code,
            reference,
            exc_info=error,
        )
    return render(problem, reference=reference)


def render(problem: Problem, *, reference: str) -> Response:
    """Return the response for `problem`; `instance` names this one occurrence."""
    kind = kind_of(problem.code)
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + problem.code,
        "title": kind.title,
        "status": int(kind.status),
        "detail": problem.detail,
        "code": problem.code,
        "instance": f"urn:theddt:occurrence:{reference}",
        "reference": reference,
    }
    if problem.errors:
        body["errors"] = [error._asdict() for error in problem.errors]
    return Response(
        body,
        status=int(kind.status),
        content_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **problem.headers},
    )


def kind_of(code: str) -> ProblemKind:
    """Return what all problems with this code share.

    A conflict that a service added and this map does not know yet is told as what it is.
    """
    return PROBLEMS.get(code) or ProblemKind(HTTPStatus.CONFLICT, "Conflict")


def _path(context: Mapping[str, Any]) -> str:
    request = context.get("request")
    return str(getattr(request, "path", ""))


def _known(error: Exception) -> Problem | None:
    """Return the problem that `error` means, or None when nobody expected it."""
    for kinds, problem_of in _MEANINGS:
        if isinstance(error, kinds):
            return problem_of(error)
    return None


_NO_SUCH_PATH: Final = "There is nothing at this address. `openapi.json` lists every address."


def _unavailable(what: str, detail: str = "") -> Problem:
    return Problem(
        "service.unavailable",
        detail
        or f"{what} does not answer at the moment. Repeat the request in some seconds with the "
        "same Idempotency-Key; nothing is issued twice.",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def _of_service(error: ServiceError) -> Problem:
    match error:
        case NotPermitted():
            return Problem(
                "permission.denied",
                f"This request needs the permission {error.permission}, which the token or "
                "person does not have. Use a token with that scope.",
            )
        case NotFound():
            return Problem(
                "resource.not-found",
                f"There is no such {error.what} in this namespace. Check the address, or list "
                "what there is.",
            )
        case Unauthenticated():
            return token_problem(error.reason)
        case Conflict():
            return Problem(error.code, error.detail)
        case _:
            if isinstance(error, ServiceUnavailable) and error.what == "koolflows":
                # Which requests wait for it, and which do not, is worth its own words.
                return _unavailable("KoolFlows", error.detail)
            what = error.what if isinstance(error, ServiceUnavailable) else "part of the platform"
            return _unavailable(f"The {what}")


def body_too_large() -> Problem:
    """Return the problem for a body past the limit."""
    return Problem(
        "body.too-large",
        f"The request body has more than {MAX_BODY_BYTES} octets, which is the most that is "
        "read. Send one certificate request at a time.",
    )


_TOKEN_DETAILS: Final = {
    "token.missing": (
        "No token came with the request. Send `Authorization: Bearer TOKEN`; `ddt token create` "
        "makes one."
    ),
    "token.malformed": (
        "The Authorization field does not hold one token of ours. Send `Authorization: Bearer "
        "ddt_…`, as it was shown when the token was created."
    ),
    "token.unknown": (
        "This token is not known. Check that it was copied whole, or create a new one."
    ),
    "token.expired": "This token has expired. Create a new one.",
    "token.revoked": "This token was revoked. Create a new one.",
    **REASONS,
}


def challenge(code: str) -> dict[str, str]:
    """Return the WWW-Authenticate field for a token's problem (RFC 6750 section 3)."""
    if code == "token.missing":
        # Without any credentials the field carries no error code.
        return {"WWW-Authenticate": 'Bearer realm="theDDT"'}
    error = "invalid_request" if code == "token.malformed" else "invalid_token"
    return {"WWW-Authenticate": f'Bearer realm="theDDT", error="{error}"'}


def token_problem(code: str) -> Problem:
    """Return the problem for a token that is missing or cannot be read."""
    return Problem(code, _TOKEN_DETAILS[code], headers=challenge(code))


def _of_framework(error: exceptions.APIException) -> Problem:
    """Return the problem for what DRF itself refused; its own words stay inside."""
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return token_problem("token.missing")
    if isinstance(error, exceptions.Throttled):
        seconds = max(1, int(getattr(error, "wait", None) or 1))
        return Problem(
            "rate.exceeded",
            f"Too many requests came. Wait {seconds} s.",
            headers={"Retry-After": str(seconds)},
        )
    for kind, code, detail in _FRAMEWORK:
        if isinstance(error, kind):
            return Problem(code, detail)
    return Problem("request.refused", "The request was refused. Check it and repeat it.")


_NOT_PERMITTED: Final = "This request is not permitted."
_FRAMEWORK: Final[tuple[tuple[type[exceptions.APIException], str, str], ...]] = (
    (
        exceptions.UnsupportedMediaType,
        "body.media-type",
        "The request body's media type is not known here. Send `Content-Type: application/json`.",
    ),
    (
        exceptions.MethodNotAllowed,
        "method.not-allowed",
        "This address does not know that method. The Allow field names those that it does.",
    ),
    (exceptions.NotFound, "path.not-found", _NO_SUCH_PATH),
    (exceptions.PermissionDenied, "permission.denied", _NOT_PERMITTED),
    (
        exceptions.ParseError,
        "body.not-json",
        "The request body is not JSON. Send one JSON object.",
    ),
)

# The first line that fits counts.
_MEANINGS: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], _Meaning], ...]] = (
    (Problem, lambda error: error),
    (Refused, lambda error: Problem(error.refusal.value, error.detail)),
    (ServiceError, _of_service),
    (exceptions.APIException, _of_framework),
    (Http404, lambda _: Problem("path.not-found", _NO_SUCH_PATH)),
    (PermissionDenied, lambda _: Problem("permission.denied", _NOT_PERMITTED)),
    (RequestDataTooBig, lambda _: body_too_large()),
    (
        (SuspiciousOperation, UnreadablePostError),
        lambda _: Problem(
            "body.unreadable", "The request could not be read to its end. Repeat it."
        ),
    ),
    (
        (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError),
        lambda _: _unavailable("The database"),
    ),
)
