"""The pages for what went wrong, in the portal's own design."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def _page(request: HttpRequest, status: int, title: str, words: str) -> HttpResponse:
    reference = getattr(request, "request_id", "")
    content = {"title": title, "words": words, "reference": reference}
    return render(request, "portal/error.html", content, status=status)


def bad_request(request: HttpRequest, exception: Any = None) -> HttpResponse:  # noqa: ANN401, ARG001
    """Answer 400."""
    return _page(request, 400, "That request is not valid", "Go back and try it another way.")


def permission_denied(request: HttpRequest, exception: Any = None) -> HttpResponse:  # noqa: ANN401
    """Answer 403 with what is missing."""
    words = f"{exception} Ask an administrator for a role that has it." if exception else ""
    return _page(request, 403, "You may not see this", words or "Your roles do not allow it.")


def not_found(request: HttpRequest, exception: Any = None) -> HttpResponse:  # noqa: ANN401, ARG001
    """Answer 404."""
    words = "There is nothing at this address, or not in your namespace."
    return _page(request, 404, "Not found", words)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500 with a reference and nothing else."""
    words = "Something failed on our side. Give the reference to your administrator."
    return _page(request, 500, "Something failed", words)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001
    """Answer a form that did not come from our own page."""
    words = "The form is too old, or your browser refused its cookie. Load the page again."
    return _page(request, 403, "The form could not be accepted", words)
