"""Every address of the web process; each front brings its own."""

from django.urls import URLPattern, URLResolver, include, path

from koolflows.config.health import liveness, readiness

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", liveness),
    path("readyz", readiness),
    path("api/v1/", include("koolflows.fronts.rest.urls")),
]
