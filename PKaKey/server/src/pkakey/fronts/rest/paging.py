"""Cursor pages: full addresses of the next and the previous page."""

from typing import Final

from rest_framework.request import Request

DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 200


def page_url(request: Request, cursor: str | None) -> str | None:
    """Return this request's address with another cursor, or None when there is no such page."""
    if cursor is None:
        return None
    query = request.query_params.copy()
    query["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
