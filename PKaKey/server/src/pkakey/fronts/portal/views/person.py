"""What belongs to the person: the account page and the theme."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from pkakey.fronts.portal.context import THEME_COOKIE, THEMES

ONE_YEAR_SECONDS = 365 * 24 * 60 * 60


@login_required
@require_safe
def account(request: HttpRequest) -> HttpResponse:
    """Show how the person signs in, and which roles they have."""
    return render(request, "portal/account.html")


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember the theme and go back to where the person was."""
    back = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=True):
        back = "/"
    response = HttpResponseRedirect(back)
    chosen = request.POST.get("theme")
    if chosen in THEMES:
        response.set_cookie(
            THEME_COOKIE, chosen, ONE_YEAR_SECONDS, secure=True, httponly=True, samesite="Lax"
        )
    return response
