"""What every request gets: an id, the use cases, and the policy of its part of the site."""

import re
from collections.abc import Callable
from uuid import uuid4

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from pkakey.config import wiring

# A UUID with or without hyphens; anything else could smuggle text into logs and audit entries.
REQUEST_ID = re.compile(r"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")

Respond = Callable[[HttpRequest], HttpResponse]


class RequestMiddleware:
    """Hangs `request_id` and `services` on the request, and the id on the answer and the logs."""

    def __init__(self, get_response: Respond) -> None:
        self._respond = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request."""
        came = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = came.lower() if REQUEST_ID.fullmatch(came) else str(uuid4())
        request.request_id = request_id  # type: ignore[attr-defined]  # Read by the fronts.
        request.services = wiring.services()  # type: ignore[attr-defined]  # As above.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response = self._respond(request)
        response.headers["X-Request-ID"] = request_id
        return response


class LooserPolicyForEditors:
    """Replaces parts of the content security policy below /cms/, where Wagtail needs it."""

    def __init__(self, get_response: Respond) -> None:
        self._respond = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request; must stand inside of the middleware that writes the policy."""
        response = self._respond(request)
        if request.path.startswith("/cms/"):
            response._csp_replace = settings.CMS_CONTENT_SECURITY_POLICY  # type: ignore[attr-defined]  # noqa: SLF001  # django-csp's own way.
            response.headers["X-Frame-Options"] = "SAMEORIGIN"
        return response


class StrictestPolicy:
    """A content security policy for answers that no browser has to render: nothing is allowed."""

    def __init__(self, get_response: Respond) -> None:
        self._respond = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request."""
        response = self._respond(request)
        response.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
        return response
