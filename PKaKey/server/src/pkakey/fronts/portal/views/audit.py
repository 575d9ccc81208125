"""The audit log, to read."""

from django.core.exceptions import BadRequest
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pkakey.fronts.portal.views.access import PortalRequest, clock, screen
from pkakey.selectors import audit
from pkakey.selectors.cursors import MalformedCursor

PAGE_SIZE = 100


@screen("audit:read")
@require_safe
def index(request: PortalRequest) -> HttpResponse:
    """Show one page, newest first."""
    target = request.GET.get("target", "").replace("\x00", "")[:256]
    try:
        page = audit.list_events(
            request.principal,
            target=target or None,
            cursor=request.GET.get("cursor") or None,
            limit=PAGE_SIZE,
        )
    except MalformedCursor as error:
        raise BadRequest("This page's address is not one that the log gave out.") from error
    content = {"here": "audit", "now": clock(), "page": page, "target": target}
    return render(request, "portal/audit.html", content)
