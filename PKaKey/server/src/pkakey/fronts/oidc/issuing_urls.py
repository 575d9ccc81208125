"""The provider's addresses: discovery, keys, and the code flow."""

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import include, path, re_path

from pkakey.fronts.oidc import views


def hidden(request: HttpRequest) -> HttpResponse:
    """Answer that nothing is here: no device flow, which invites phishing, is offered."""
    raise Http404(request.path)


urlpatterns = [
    # Before allauth's own: keys with `alg` and `use`, which some verifiers need.
    path(".well-known/jwks.json", views.jwks, name="jwks"),
    path("identity/o/authorize", views.authorize),
    re_path(r"^identity/o/(?:device|api/device/)", hidden),
    path("", include("allauth.idp.urls")),
]
