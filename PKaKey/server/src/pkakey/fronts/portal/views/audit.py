"""The audit log, to read."""

from django.core.exceptions import BadRequest
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pkakey.fronts.portal.views.access import PortalRequest, screen
from pkakey.selectors import audit

PAGE_SIZE = 100


@screen("audit:read")
@require_safe
def index(request: PortalRequest) -> HttpResponse:
    """Show one page, newest first."""
    try:
        page = audit.list_events(
            request.principal, cursor=request.GET.get("cursor") or None, limit=PAGE_SIZE
        )
    except ValueError as error:
        raise BadRequest("This page's address is not one that the log gave out.") from error
    return render(request, "portal/audit.html", {"here": "audit", "page": page})
