"""Every address of the web process; each front brings its own."""

from django.urls import URLPattern, URLResolver, include, path

from pkakey.config.health import liveness, readiness

common: list[URLPattern | URLResolver] = [
    path("healthz", liveness, name="liveness"),
    path("readyz", readiness, name="readiness"),
    path("api/v1/", include("pkakey.fronts.rest.urls")),
    path("internal/flows/", include("pkakey.fronts.flows.urls")),
]
# Last: the CMS answers whatever nobody else does.
pages: list[URLPattern | URLResolver] = [path("", include("pkakey.fronts.portal.urls"))]

urlpatterns: list[URLPattern | URLResolver] = [
    *common,
    path("", include("pkakey.fronts.oidc.issuing_urls")),
    *pages,
]
