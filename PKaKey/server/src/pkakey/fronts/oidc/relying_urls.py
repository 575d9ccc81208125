"""Where people sign in at Keycloak: our own forms of allauth are not there, its names stay."""

from typing import Any

from allauth.account.views import account_inactive
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import include, path, re_path

from pkakey.fronts.oidc import views


def hidden(request: HttpRequest, **_: Any) -> HttpResponse:  # noqa: ANN401
    """Answer that nothing is here: no password, second factor or address is kept here."""
    raise Http404(request.path)


urlpatterns = [
    path(".well-known/jwks.json", views.jwks, name="jwks"),
    path(".well-known/openid-configuration", views.discovery, name="discovery"),
    path("internal/backchannel-logout", views.backchannel_logout, name="backchannel-logout"),
    path("accounts/login/", views.sign_in),
    path("accounts/logout/", views.SignOut.as_view()),
    path("accounts/inactive/", account_inactive),
    path("accounts/", include("pkakey.fronts.oidc.urls")),
    re_path(r"^accounts/", hidden),
]
