"""The gateway's dashboard: who may see it, and how the gateway's own host learns of a sign-in.

Cookies of the portal belong to its host alone (`__Host-`), so a browser does not send them to the
gateway's host. The portal therefore hands a signed-in administrator a ticket: a random number, used
once within a minute. The gateway's host exchanges it for a cookie of its own, which holds as long
as the portal's session does. Neither number says anything about the session.
"""

import hashlib
import secrets
from typing import Final, cast
from urllib.parse import parse_qs, urlencode, urlsplit

from django.conf import settings
from django.contrib import auth
from django.contrib.sessions.backends.cached_db import SessionStore
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from pkakey.fronts.portal.views.access import PortalRequest, principal_of, screen
from pkakey.services.errors import NotPermitted

COOKIE: Final = "__Host-theddt-gateway"
TICKET: Final = "ticket"
TICKET_SECONDS: Final = 60


def gateway_address(request: HttpRequest) -> str:
    """Return the address of the gateway's dashboard."""
    outside = cast("PortalRequest", request).services.outside
    port = "" if outside.https_port == 443 else f":{outside.https_port}"  # noqa: PLR2004
    return f"https://{outside.domain}{port}/dashboard/"


@screen("dashboard:gateway")
@require_safe
def landing(request: PortalRequest) -> HttpResponse:
    """Show the door. A page of its own: no form may lead to another host, a sign-in neither."""
    content = {"here": "gateway", "address": gateway_address(request)}
    return render(request, "portal/gateway.html", content)


@screen("dashboard:gateway")
@require_safe
@never_cache
def enter(request: PortalRequest) -> HttpResponse:
    """Lead a signed-in administrator to the gateway's dashboard, with a ticket."""
    ticket = secrets.token_urlsafe(32)
    cache.set(_key("ticket", ticket), request.session.session_key, TICKET_SECONDS)
    return redirect(f"{gateway_address(request)}?{TICKET}={ticket}")


@require_safe
@never_cache
def admin(request: HttpRequest) -> HttpResponse:
    """Answer the gateway's question: 200 for an administrator, 302 to the portal, or 403."""
    asked = urlsplit(request.META.get("HTTP_X_FORWARDED_URI", ""))
    tickets = parse_qs(asked.query).get(TICKET, [])
    if tickets:
        return _exchange(request, tickets[0])
    if not request.user.is_authenticated:
        _remember(request)
        if not request.user.is_authenticated:
            return _to_portal(request)
    if getattr(request.user, "must_change_password", False):
        return HttpResponse("Change the one-time password first.", status=403)
    try:
        allowed = principal_of(cast("PortalRequest", request)).can("dashboard:gateway")
    except NotPermitted:
        allowed = False
    if not allowed:
        return HttpResponse("The dashboard is for administrators (pki-admin).", status=403)
    return HttpResponse(status=200)


def _exchange(request: HttpRequest, ticket: str) -> HttpResponse:
    key = _key("ticket", ticket)
    session_key = cache.get(key)
    # Whoever deletes it first has it: a ticket is used once.
    if session_key is None or not cache.delete(key):
        return _to_portal(request)
    number = secrets.token_urlsafe(32)
    cache.set(_key("cookie", number), session_key, settings.SESSION_COOKIE_AGE)
    response = redirect(gateway_address(request))
    response.set_cookie(COOKIE, number, secure=True, httponly=True, samesite="Lax")
    return response


def _remember(request: HttpRequest) -> None:
    """Take the portal's session that the gateway's cookie stands for, if it still is one."""
    number = request.COOKIES.get(COOKIE, "")
    session_key = cache.get(_key("cookie", number)) if number else None
    if session_key is not None:
        request.session = SessionStore(session_key)
        request.user = auth.get_user(request)


def _to_portal(request: HttpRequest) -> HttpResponse:
    if "text/html" not in request.headers.get("Accept", ""):
        return HttpResponse("Sign in to the portal as an administrator first.", status=403)
    query = urlencode({"next": reverse("portal:gateway")})
    return redirect(f"{settings.PUBLIC_URL}{reverse('account_login')}?{query}")


def _key(kind: str, number: str) -> str:
    # The cache holds a digest: who reads the cache cannot use the number.
    return f"gateway-{kind}:{hashlib.sha256(number.encode()).hexdigest()}"
