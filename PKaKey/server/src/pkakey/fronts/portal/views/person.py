"""What belongs to the person: the account page and the theme."""

from typing import cast

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from pkakey.fronts.portal.context import THEME_COOKIE, THEMES
from pkakey.fronts.portal.views.access import NAMESPACE_KEY, PortalRequest, principal_of
from pkakey.selectors.namespaces import namespaces_of_user
from pkakey.services.errors import NotPermitted

ONE_YEAR_SECONDS = 365 * 24 * 60 * 60


@login_required
@require_safe
def account(request: HttpRequest) -> HttpResponse:
    """Show how the person signs in, which roles they have, and where they act."""
    own = cast("PortalRequest", request)
    try:
        active = principal_of(own).namespace_id
    except NotPermitted:
        active = None
    content = {"namespaces": namespaces_of_user(int(request.user.pk or 0)), "active": active}
    return render(request, "portal/account.html", content)


@login_required
@require_POST
def namespace(request: HttpRequest) -> HttpResponse:
    """Act in another of the person's namespaces from now on."""
    chosen = request.POST.get("namespace", "")
    own = {str(item.id) for item in namespaces_of_user(int(request.user.pk or 0))}
    if chosen not in own:
        raise PermissionDenied("You do not belong to that namespace.")
    request.session[NAMESPACE_KEY] = chosen
    return redirect("portal:account")


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember the theme and go back to where the person was."""
    back = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}):
        back = "/"
    response = HttpResponseRedirect(back)
    chosen = request.POST.get("theme")
    if chosen in THEMES:
        response.set_cookie(
            THEME_COOKIE,
            chosen,
            ONE_YEAR_SECONDS,
            secure=request.is_secure(),
            httponly=True,
            samesite="Lax",
        )
    return response
