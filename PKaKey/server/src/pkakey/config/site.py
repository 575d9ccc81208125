"""The whole site as one WSGI application: a chain of middleware for people, one for machines."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class MachineHandler(WSGIHandler):
    """The site without the middleware that only a browser's session needs.

    That takes a sixth off the web process's work for a certificate (docs/performance.md).
    """

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: FBT001, FBT002  # Django's.
        """Build the chain from `MACHINE_MIDDLEWARE`."""
        everything = settings.MIDDLEWARE
        settings.MIDDLEWARE = settings.MACHINE_MIDDLEWARE
        try:
            super().load_middleware(is_async)
        finally:
            settings.MIDDLEWARE = everything


def is_from_a_machine(environ: "WSGIEnvironment") -> bool:
    """Return whether the request is to the API with credentials of its own.

    A browser's session never answers such a request: the API takes the Authorization field or
    refuses it.
    """
    return "HTTP_AUTHORIZATION" in environ and environ.get("PATH_INFO", "").startswith("/api/")


def make_site() -> "WSGIApplication":
    """Set Django up, and return the application for both kinds of request."""
    people = get_wsgi_application()
    machines = MachineHandler()

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        handler = machines if is_from_a_machine(environ) else people
        return handler(environ, start_response)

    return answer
