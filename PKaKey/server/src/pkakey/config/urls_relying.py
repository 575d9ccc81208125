"""The addresses where people sign in at Keycloak."""

from django.urls import URLPattern, URLResolver, include, path

from pkakey.config.urls import common, pages

urlpatterns: list[URLPattern | URLResolver] = [
    *common,
    path("", include("pkakey.fronts.oidc.relying_urls")),
    *pages,
]
