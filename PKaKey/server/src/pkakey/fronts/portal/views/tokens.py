"""API tokens: list, create (shown once), revoke."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from pkakey.fronts.portal.views.access import PortalRequest, clock, screen
from pkakey.selectors import tokens as selected
from pkakey.services.errors import Conflict
from pkakey.services.principals import PERMISSIONS

MAX_DAYS = 365


def days_of(request: PortalRequest) -> int:
    """Return the number of days that was asked for, or raise `Conflict`."""
    days = request.POST.get("days", "")[:20]
    if not days.isascii() or not days.isdigit() or not 0 < int(days) <= MAX_DAYS:
        raise Conflict("token.expiry", f"A token lives 1 to {MAX_DAYS} days; {days!r} came.")
    return int(days)


@screen("tokens:manage")
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: PortalRequest) -> HttpResponse:
    """Show the tokens and the form; create one."""
    now = clock()
    content: dict[str, Any] = {"here": "tokens", "now": now, "name": request.POST.get("name", "")}
    if request.method == "POST":
        try:
            days = days_of(request)
            content["new_token"] = request.services.create_token(
                principal=request.principal,
                name=request.POST.get("name", ""),
                scopes=request.POST.getlist("scope"),
                expires_at=now + timedelta(days=days),
                now=now,
            )
        except Conflict as error:
            content["problem"] = f"{error.detail} ({error.code})"
    content["tokens"] = selected.list_tokens(request.principal)
    content["scopes"] = [
        {"name": name, "label": label}
        for name, label in PERMISSIONS.items()
        if request.principal.can(name)
    ]
    return render(
        request, "portal/tokens.html", content, status=400 if content.get("problem") else 200
    )


@screen("tokens:manage")
@require_POST
def revoke(request: PortalRequest, token_id: UUID) -> HttpResponse:
    """Revoke one token."""
    request.services.revoke_token(principal=request.principal, token_id=token_id, now=clock())
    messages.success(request, "The token is revoked.")
    return redirect("portal:tokens")
