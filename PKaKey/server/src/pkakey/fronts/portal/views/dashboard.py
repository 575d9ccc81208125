"""The first screen: counts, activity, what ends next, what happened last."""

import structlog
from django.db import DatabaseError
from django.http import HttpResponse
from django.shortcuts import render

from pkakey.fronts.portal.chart import activity
from pkakey.fronts.portal.views.access import PortalRequest, clock, screen
from pkakey.selectors import dashboard as figures

log = structlog.get_logger()


@screen("certificates:read")
def show(request: PortalRequest) -> HttpResponse:
    """Show the figures, or say that they could not be loaded: never a zero in their place."""
    now = clock()
    try:
        summary = figures.summary(request.principal, now)
    except DatabaseError:
        log.exception("dashboard.failed")
        summary = None
    return render(
        request,
        "portal/dashboard.html",
        {
            "here": "dashboard",
            "now": now,
            "summary": summary,
            "first_certificate": summary and (summary.valid or summary.expired or summary.revoked),
            "chart": summary and activity(summary.issued_by_day),
        },
        status=503 if summary is None else 200,
    )
