"""Every address of the web process; each front brings its own."""

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path

from pkakey.config.health import liveness, readiness

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", liveness),
    path("readyz", readiness),
]
if find_spec("pkakey.fronts.rest.urls"):
    urlpatterns.append(path("api/v1/", include("pkakey.fronts.rest.urls")))
if find_spec("pkakey.fronts.portal.urls"):
    # Last: the CMS answers whatever nobody else does.
    urlpatterns.append(path("", include("pkakey.fronts.portal.urls")))
