"""Answers the gateway before it shows its dashboard: is this a signed-in administrator."""

from typing import cast
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from pkakey.fronts.portal.views.access import PortalRequest, principal_of
from pkakey.services.errors import NotPermitted


@require_safe
def admin(request: HttpRequest) -> HttpResponse:
    """Answer 200 for a signed-in administrator; lead others to the sign-in, or refuse."""
    if not request.user.is_authenticated:
        query = urlencode({"next": reverse("portal:dashboard")})
        return HttpResponseRedirect(f"{settings.PUBLIC_URL}{reverse('account_login')}?{query}")
    if getattr(request.user, "must_change_password", False):
        return HttpResponse("Change the one-time password first.", status=403)
    try:
        allowed = principal_of(cast("PortalRequest", request)).can("dashboard:gateway")
    except NotPermitted:
        allowed = False
    if not allowed:
        return HttpResponse("The dashboard is for administrators (pki-admin).", status=403)
    return HttpResponse(status=200)
