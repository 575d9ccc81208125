"""One address for each operation of a service task; KoolFlows shows the shared service key.

An answer of 2xx is done, 422, 409 or 404 is refused for good, everything else is asked again with
the same `Idempotency-Key` (docs/adr/0018).
"""

import hmac
import json
import logging
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, cast
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from pkakey_engine.errors import Refused

from pkakey.services import Services
from pkakey.services.approved import TooEarly
from pkakey.services.authority_suspension import ACTIVATE, DEACTIVATE
from pkakey.services.closing import Allowed
from pkakey.services.errors import Conflict, NotFound, NotPermitted, Unauthenticated

logger = logging.getLogger(__name__)

MOST_BYTES: Final = 256 * 1024
Operation = Callable[[Services, Mapping[str, Any], Allowed, datetime], dict[str, Any]]
KEY: Final = "idempotency key"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SERIAL: Final = re.compile(r"[0-9a-f]{1,40}")
_MOST_STEPS: Final = 200
CHANGE_PROFILE: Final = "change-profile"
MOST_OF_A_DOCUMENT: Final = 20_000


class MalformedError(Exception):
    """The body is not what this operation takes."""


@csrf_exempt
@require_POST
@never_cache
def perform(request: HttpRequest, operation: str) -> HttpResponse:
    """Do the operation once; the same key again gets the same answer."""
    services = cast("Services", request.services)  # type: ignore[attr-defined]  # A middleware's.
    if not _is_koolflows(request, services.outside.flows_service_key):
        return _problem(HTTPStatus.UNAUTHORIZED, "service.key", "This is not KoolFlows' key.")
    try:
        act = _operation(request, operation)
        parameters, allowed = _read(request)
        return JsonResponse(act(services, parameters, allowed, datetime.now(tz=UTC)))
    except Exception as error:  # noqa: BLE001  # Each is answered as what it is.
        return _answer(error, operation)


def _answer(error: Exception, operation: str) -> JsonResponse:
    match error:
        case MalformedError():
            code, status = "operation.malformed", HTTPStatus.UNPROCESSABLE_ENTITY
        case Refused():
            code, status = error.refusal.value, HTTPStatus.UNPROCESSABLE_ENTITY
        case Conflict():
            code, status = error.code, HTTPStatus.CONFLICT
        case NotFound():
            code, status = "resource.not-found", HTTPStatus.NOT_FOUND
        case NotPermitted() | Unauthenticated():
            code, status = "permission.denied", HTTPStatus.FORBIDDEN
        case TooEarly():
            code, status = "request.too-early", HTTPStatus.TOO_EARLY
        case _:
            # The signer or the database is away, or worse: the step waits and is asked again.
            logger.error("%s for a process could not be done.", operation, exc_info=error)
            return _problem(
                HTTPStatus.SERVICE_UNAVAILABLE, "service.unavailable", "It cannot be done now."
            )
    return _problem(status, code, str(getattr(error, "detail", "") or error))


def _is_koolflows(request: HttpRequest, key: str | None) -> bool:
    shown = request.headers.get("Authorization", "")
    return key is not None and hmac.compare_digest(shown.encode(), f"Bearer {key}".encode())


def _operation(request: HttpRequest, operation: str) -> Operation:
    act = _OPERATIONS.get(operation)
    if act is None:
        raise MalformedError(f"PKaKey does for a process: {', '.join(_OPERATIONS)}.")
    if not _KEY.fullmatch(request.headers.get("Idempotency-Key", "")):
        raise MalformedError("An Idempotency-Key is due.")
    return act


def _read(request: HttpRequest) -> tuple[Mapping[str, Any], Allowed]:
    if int(request.META.get("CONTENT_LENGTH") or 0) > MOST_BYTES:
        raise MalformedError("The body is too large.")
    try:
        body = json.loads(request.read(MOST_BYTES + 1))
        process = body["process"]
        allowed = Allowed(
            id=UUID(str(process["id"])),
            diagram=_text(process, "key", 100),
            version=int(process["version"]),
            sha256=_text(process, "sha256", 64),
            namespace=_text(process, "namespace", 63),
            path=[str(step)[:200] for step in list(process["path"])[:_MOST_STEPS]],
            deciders=[dict(one) for one in list(process["deciders"])[:_MOST_STEPS]],
        )
        # No parameter of a diagram has this name, with a space in it.
        parameters = {**dict(body["parameters"]), KEY: request.headers["Idempotency-Key"]}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MalformedError("The body is not parameters and process as JSON.") from error
    return parameters, allowed


def _text(fields: Mapping[str, Any], name: str, most: int) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= most or "\x00" in value:
        raise MalformedError(f"{name} is a text of 1 to {most} characters.")
    return value


def _request_of(parameters: Mapping[str, Any]) -> tuple[UUID, str]:
    request = parameters.get("request")
    if not isinstance(request, dict):
        raise MalformedError("request is an object with id and sha256.")
    sha256 = _text(request, "sha256", 64)
    try:
        request_id = UUID(_text(request, "id", 36))
    except ValueError as error:
        raise MalformedError("request.id is a UUID.") from error
    if not _SHA256.fullmatch(sha256):
        raise MalformedError("request.sha256 is a SHA-256 in hex.")
    return request_id, sha256


def _issue(
    services: Services, parameters: Mapping[str, Any], allowed: Allowed, now: datetime
) -> dict[str, Any]:
    request_id, sha256 = _request_of(parameters)
    return services.flows.issue(allowed=allowed, request_id=request_id, sha256=sha256, now=now)


def _refuse(
    services: Services, parameters: Mapping[str, Any], allowed: Allowed, now: datetime
) -> dict[str, Any]:
    request_id, sha256 = _request_of(parameters)
    reason = _text(parameters, "reason", 2000)
    return services.flows.refuse(
        allowed=allowed, request_id=request_id, sha256=sha256, reason=reason, now=now
    )


def _revoke(
    services: Services, parameters: Mapping[str, Any], allowed: Allowed, now: datetime
) -> dict[str, Any]:
    return services.flows.revoke(
        allowed=allowed,
        serial_number=_serial(parameters),
        reason=_text(parameters, "reason", 40),
        now=now,
    )


def _renew(
    services: Services, parameters: Mapping[str, Any], allowed: Allowed, now: datetime
) -> dict[str, Any]:
    return services.flows.renew(
        allowed=allowed,
        serial_number=_serial(parameters),
        key=_text(parameters, KEY, 255),
        now=now,
    )


def _grant(
    services: Services, parameters: Mapping[str, Any], allowed: Allowed, now: datetime
) -> dict[str, Any]:
    try:
        until = datetime.fromisoformat(_text(parameters, "until", 40))
    except ValueError as error:
        raise MalformedError("until is a moment such as 2027-01-31T00:00:00Z.") from error
    if until.tzinfo is None:
        raise MalformedError("until names its offset from UTC, such as Z.")
    return services.flows.grant(
        allowed=allowed,
        team=_text(parameters, "team", 63),
        pattern=_text(parameters, "pattern", 255),
        profile=_text(parameters, "profile", 63),
        until=until,
        now=now,
    )


def _act(
    services: Services, parameters: Mapping[str, Any], allowed: Allowed, now: datetime
) -> dict[str, Any]:
    act, subject = parameters.get("act"), parameters.get("subject")
    if act in (ACTIVATE, DEACTIVATE):
        try:
            authority_id = UUID(_text(parameters, "subject", 36))
        except ValueError as error:
            raise MalformedError("subject is the authority's id, a UUID.") from error
        return services.flows.act_on_authority(
            allowed=allowed, act=str(act), authority_id=authority_id, now=now
        )
    if act != CHANGE_PROFILE:
        acts = f"{CHANGE_PROFILE}, {ACTIVATE}, {DEACTIVATE}"
        raise MalformedError(f"PKaKey's acts for a process are: {acts}.")
    if not isinstance(subject, dict):
        raise MalformedError("subject is an object with profile and document.")
    return services.flows.change_profile(
        allowed=allowed,
        name=_text(subject, "profile", 63),
        document=_text(subject, "document", MOST_OF_A_DOCUMENT),
        now=now,
    )


def _serial(parameters: Mapping[str, Any]) -> str:
    serial_number = _text(parameters, "serial_number", 40)
    if not _SERIAL.fullmatch(serial_number):
        raise NotFound("certificate")
    return serial_number


_OPERATIONS: Final[Mapping[str, Operation]] = {
    "issue": _issue, "refuse": _refuse, "revoke": _revoke, "renew": _renew,
    "grant": _grant, "act": _act,
}  # fmt: skip


def _problem(status: HTTPStatus, code: str, detail: str) -> JsonResponse:
    return JsonResponse(
        {"type": f"urn:theddt:problem:{code}", "title": status.phrase, "status": status.value,
         "code": code, "detail": detail[:1000]},
        status=status,
        content_type="application/problem+json",
    )  # fmt: skip
