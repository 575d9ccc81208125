"""Every address of the web process; each front brings its own."""

from django.urls import URLPattern, URLResolver, path

from koolflows.config.health import liveness, readiness

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", liveness),
    path("readyz", readiness),
]
