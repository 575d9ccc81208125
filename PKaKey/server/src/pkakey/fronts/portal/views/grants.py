"""Grants: what needs no further approval, asking for one, and ending one."""

from datetime import UTC, date, datetime, time
from typing import Any, Final
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe
from pkakey_engine.errors import Refused

from pkakey.fronts.portal.views.access import PortalRequest, clock, screen
from pkakey.fronts.portal.views.flows import why
from pkakey.fronts.portal.views.new_certificate import offered
from pkakey.selectors import audit
from pkakey.selectors import grants as selected
from pkakey.selectors.cursors import MalformedCursor
from pkakey.selectors.requests import requests_within_grant
from pkakey.services.errors import Conflict, NotFound, ServiceUnavailable
from pkakey.services.grants import LONGEST, Asked

PAGE_SIZE: Final = 50
SHOWN: Final = 20
FIELDS: Final = ("pattern", "profile", "until", "purpose")
MOST_CHARACTERS: Final = 1000


@screen("certificates:read")
@require_safe
def index(request: PortalRequest) -> HttpResponse:
    """Show one page of the grants, newest first."""
    now = clock()
    state = request.GET.get("state", "")
    state = state if state in selected.STATES else ""
    content: dict[str, Any] = {
        "here": "grants", "now": now, "state": state, "states": ("", *selected.STATES),
    }  # fmt: skip
    status = 200
    try:
        content["page"] = selected.list_grants(
            request.principal, state=state or None, now=now, limit=PAGE_SIZE,
            cursor=request.GET.get("cursor") or None,
        )  # fmt: skip
    except MalformedCursor:
        content["problem"] = "The list gave out no page with this address. Start from the first."
        status = 400
    return render(request, "portal/grants.html", content, status=status)


@screen("certificates:read")
@require_safe
def detail(request: PortalRequest, grant_id: UUID) -> HttpResponse:
    """Show one grant: what it is for, what allowed it, and what it let through."""
    now = clock()
    item = selected.get_grant(request.principal, grant_id, now=now)
    events = (
        audit.list_events(request.principal, target=str(grant_id), limit=SHOWN).items
        if request.principal.can("audit:read")
        else None
    )
    content = {
        "here": "grants",
        "now": now,
        "item": item,
        "requests": requests_within_grant(request.principal, item.process_id, limit=SHOWN),
        "most": SHOWN,
        "events": events,
    }
    return render(request, "portal/grant.html", content)


@screen("flows:start")
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: PortalRequest) -> HttpResponse:
    """Ask for a grant: people decide on it, in a process of KoolFlows."""
    now = clock()
    typed = {name: request.POST.get(name, "").strip()[:MOST_CHARACTERS] for name in FIELDS}
    problem, status = "", 200
    if request.method == "POST":
        try:
            answer = request.services.flows.ask_for_grant(
                principal=request.principal,
                asked=Asked(
                    request.principal.namespace, typed["pattern"], typed["profile"],
                    end_of_day(typed["until"]),
                ),
                purpose=typed["purpose"],
                key=_key_of(request.POST.get("key", "")),
                now=now,
            )  # fmt: skip
        except Refused as refused:
            problem, status = f"{refused.detail} ({refused.refusal.value})", 400
        except Conflict as error:
            problem, status = f"{error.detail} ({error.code})", 400
        except NotFound:
            problem, status = f"There is no profile {typed['profile']!r} here. Choose one.", 400
        except ServiceUnavailable as error:
            problem, status = error.detail, 503
        else:
            if answer.is_success:
                messages.success(request, "Asked for. People decide on it now.")
                return redirect("portal:process", UUID(str(answer.body["id"])))
            problem, status = why(answer.body), answer.status
    content = {
        "here": "grants",
        "now": now,
        "typed": typed,
        "problem": problem,
        "profiles": offered(request),
        "earliest": now.date(),
        "latest": (now + LONGEST).date(),
        "key": _key_of(request.POST.get("key", "")),
    }
    return render(request, "portal/grant_new.html", content, status=status)


@screen("certificates:revoke")
@require_http_methods(["GET", "HEAD", "POST"])
def withdraw(request: PortalRequest, grant_id: UUID) -> HttpResponse:
    """Say the effect and ask for the reason; then end the grant."""
    now = clock()
    item = selected.get_grant(request.principal, grant_id, now=now)
    reason = request.POST.get("reason", "").strip()[: MOST_CHARACTERS + 1]
    problem = ""
    if request.method == "POST":
        try:
            request.services.flows.withdraw(
                principal=request.principal, grant_id=grant_id, reason=reason, now=now
            )
        except Conflict as error:
            problem = f"{error.detail} ({error.code})"
        else:
            messages.success(request, "The grant is withdrawn; later requests wait for people.")
            return redirect("portal:grant", grant_id)
    content = {"here": "grants", "now": now, "item": item, "reason": reason, "problem": problem}
    status = 400 if problem else 200
    return render(request, "portal/grant_withdraw.html", content, status=status)


def end_of_day(text: str) -> datetime:
    """Return the last second of a day in UTC; raises `Conflict` for what is no day."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Conflict(
            "grant.until", f"A day such as 2031-05-31 is needed; {text[:40]!r} came."
        ) from None
    return datetime.combine(day, time(23, 59, 59), tzinfo=UTC)


def _key_of(text: str) -> str:
    """Return the form's own key, so that a form sent twice asks once; a new one for a new form."""
    try:
        return str(UUID(text))
    except ValueError:
        return str(uuid4())
