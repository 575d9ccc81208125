"""The content editors' door: Wagtail's admin, fenced.

A person with the right to enter could reach some 35 of its 198 routes, page trees, tags and
choosers among them. So only what editing a page needs is open, by name; the rest is not there. Its
own sign-in forms know nothing of a second factor: they lead to ours.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, URLResolver, include, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from wagtail import urls as wagtail_urls
from wagtail.admin import urls as admin_urls
from wagtail.utils.urlpatterns import decorate_urlpatterns

ENTER: Final = "wagtailadmin.access_admin"
OPEN_NAMESPACES: Final = frozenset(
    {"wagtailadmin_pages", "wagtailadmin_api", "wagtailadmin_editing_sessions"}
)
OPEN_NAMES: Final = frozenset(
    {
        "wagtailadmin_home",
        "wagtailadmin_explore_root",
        "wagtailadmin_explore",
        "wagtailadmin_explore_results",
        "wagtailadmin_choose_page",
        "wagtailadmin_choose_page_child",
        "wagtailadmin_choose_page_search",
        "wagtailadmin_choose_page_external_link",
        "wagtailadmin_choose_page_email_link",
        "wagtailadmin_choose_page_anchor_link",
        "wagtailadmin_dismissibles",
        "wagtailadmin_sprite",
        "wagtailadmin_javascript_catalog",
    }
)

Respond = Callable[..., HttpResponse]


def is_open(request: HttpRequest) -> bool:
    """Return whether the fence lets the request's route through."""
    match = request.resolver_match
    if match is None:
        return False
    if match.namespaces:
        return match.namespaces[0] in OPEN_NAMESPACES
    return match.url_name in OPEN_NAMES


def fenced(view: Respond) -> Respond:
    """Let in who is signed in by our own sign-in and may edit; hide all that is not editing."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:  # noqa: ANN401
        if not request.user.is_authenticated:
            return to_sign_in(request)
        if not request.user.has_perm(ENTER):
            return render(request, "portal/no_editor.html", status=403)
        if not is_open(request):
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


def to_sign_in(request: HttpRequest) -> HttpResponse:
    """Lead to the one sign-in that there is, and from there back to where the person wanted."""
    back = request.GET.get("next", "") if "next" in request.GET else request.path
    if "login" in back or not url_has_allowed_host_and_scheme(back, None):
        back = reverse("wagtailadmin_home")
    return redirect(f"{reverse('account_login')}?{urlencode({'next': back})}")


def to_account(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Lead to our own account page: names come from the directory, not from their bearers."""
    return redirect("portal:account")


def hidden(request: HttpRequest, **_: Any) -> HttpResponse:  # noqa: ANN401
    """Answer that nothing is here."""
    raise Http404(request.path)


decorate_urlpatterns(admin_urls.urlpatterns, fenced)

urlpatterns: list[URLPattern | URLResolver] = [
    # Before Wagtail's own: these would let a password in past the second factor.
    path("cms/login/", to_sign_in),
    path("cms/password_reset/", hidden),
    path("cms/account/", to_account),
    path("cms/logout/", to_account),
    path("cms/", include(admin_urls)),
    path("_util/login/", to_sign_in),
    path("_util/authenticate_with_password/<int:page_view_restriction_id>/<int:page_id>/", hidden),
    path("", include(wagtail_urls)),
]
