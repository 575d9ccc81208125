"""Cursor pages: the full address of the next page."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from koolflows.selectors.results import Page

DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 200
PAGING: Final = [
    OpenApiParameter("cursor", str, description="From `next` of another page."),
    OpenApiParameter(
        "page_size",
        {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": DEFAULT_PAGE_SIZE},
    ),
]
T = TypeVar("T")


def page(request: Request, found: Page[T], represent: Callable[[T], dict[str, Any]]) -> Response:
    """Return a page with the address of the next one."""
    address = None
    if found.next_cursor is not None:
        query = request.query_params.copy()
        query["cursor"] = found.next_cursor
        address = request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
    return Response({"next": address, "results": [represent(item) for item in found.items]})
