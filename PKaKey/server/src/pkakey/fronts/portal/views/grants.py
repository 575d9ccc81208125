"""Grants: what needs no further approval in the namespace, with what is over."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pkakey.fronts.portal.views.access import PortalRequest, clock, screen
from pkakey.selectors import requests as selected

MOST = 200


@screen("certificates:read")
@require_safe
def index(request: PortalRequest) -> HttpResponse:
    """Show the newest grants; who asked for more than are shown is told so."""
    found = selected.list_grants(request.principal, limit=MOST + 1)
    content = {
        "here": "grants",
        "now": clock(),
        "grants": found[:MOST],
        "most": MOST,
        "has_more": len(found) > MOST,
    }
    return render(request, "portal/grants.html", content)
