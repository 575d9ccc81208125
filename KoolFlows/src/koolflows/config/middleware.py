"""What every request gets: an id, in the answer and in the logs."""

import re
from collections.abc import Callable
from typing import Final
from uuid import uuid4

import structlog
from django.http import HttpRequest, HttpResponse

from koolflows.config import wiring

# Letters, digits and three marks: nothing that could smuggle text into a log line.
REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

Respond = Callable[[HttpRequest], HttpResponse]


class RequestMiddleware:
    """Hangs `request_id` and `services` on the request, and on the answer and the logs."""

    def __init__(self, get_response: Respond) -> None:
        self._respond = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request."""
        came = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = came if REQUEST_ID.fullmatch(came) else str(uuid4())
        request.request_id = request_id  # type: ignore[attr-defined]  # Read by the fronts.
        request.services = wiring.services()  # type: ignore[attr-defined]  # As above.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response = self._respond(request)
        response.headers["X-Request-ID"] = request_id
        return response
