"""One line and one figure for each request that the web process answered.

Written past the logging library: a line by it costs some 60 µs, by hand 5, on the path that issues
a thousand certificates a second.
"""

import os
from datetime import UTC, datetime
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from prometheus_client import Histogram

from pkakey.config import tracing
from pkakey.services.measuring import SECONDS

REQUESTS = Histogram(
    "pkakey_http_request_duration_seconds",
    "Time from the request's arrival in the web process to its answer, by the route's name.",
    ["route", "method", "status"],
    buckets=SECONDS,
)
_STDERR: Final = 2
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Asked for every second or two by whoever watches: counted, not logged while all is well.
_QUIET: Final = frozenset({"liveness", "readiness"})
_FIRST_ERROR: Final = 400


def answered(
    request: HttpRequest, response: HttpResponse, *, request_id: str, seconds: float
) -> None:
    """Count the request, and write its line where `settings.ACCESS_LOG` says so.

    Labels and line hold only words of ours: the route's name, a known method, the status, and a
    request id that was checked. So neither can be made to grow or to say something else.
    """
    match = request.resolver_match
    # What no view answered is a static file, or was refused before any view.
    route = "none" if match is None else match.view_name or "unnamed"
    method = request.method if request.method in _METHODS else "other"
    status = response.status_code
    tracing.name_request(method, route, request_id)
    REQUESTS.labels(route, method, status).observe(seconds)
    if not settings.ACCESS_LOG or (route in _QUIET and status < _FIRST_ERROR):
        return
    line = (
        f'{{"event":"request","level":"info","logger":"pkakey.access",'
        f'"timestamp":"{datetime.now(UTC).isoformat()[:-6]}Z","request_id":"{request_id}",'
        f'"method":"{method}","route":"{route}","status":{status},'
        f'"milliseconds":{seconds * 1000:.1f}}}\n'
    )
    # One write of one line: whole in the log whoever else writes.
    os.write(_STDERR, line.encode())
