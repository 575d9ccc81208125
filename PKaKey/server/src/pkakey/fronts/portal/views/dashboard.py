"""The first screen: counts, activity, what ends next, what happened last."""

import structlog
from django.db import DatabaseError
from django.http import HttpResponse
from django.shortcuts import render

from pkakey.fronts.portal.chart import activity
from pkakey.fronts.portal.views.access import PortalRequest, clock, screen
from pkakey.selectors import dashboard as figures
from pkakey.selectors.results import DashboardSummary

log = structlog.get_logger()


def is_first_run(summary: DashboardSummary) -> bool:
    """Return whether nobody has issued a certificate yet.

    The platform's own are not counted: each authority and its OCSP responder has one, and the
    gateway.
    """
    own = 2 * summary.authorities + 1
    return summary.valid + summary.expired + summary.revoked <= own


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
            "is_first_run": summary is not None and is_first_run(summary),
            "chart": summary and activity(summary.issued_by_day),
        },
        status=503 if summary is None else 200,
    )
