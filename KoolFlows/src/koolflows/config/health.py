"""Liveness and readiness of the web process, in plain JSON."""

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from koolflows.services.health import parts_health


@require_safe
def liveness(_request: HttpRequest) -> JsonResponse:
    """Answer that the process runs; asks nobody else."""
    return JsonResponse({"state": "alive"})


@require_safe
def readiness(_request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database answers; else 503."""
    parts = parts_health()
    ready = all(state == "ok" for state in parts.values())
    return JsonResponse(
        {"state": "ready" if ready else "unready", "parts": parts}, status=200 if ready else 503
    )
