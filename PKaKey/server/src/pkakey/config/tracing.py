"""Traces for an OpenTelemetry collector, where its own variables name one (docs/monitoring.md).

Without one nothing is imported and nothing is made: what others call here does nothing then.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from pkakey.config.spans import Spans

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_NOTHING: Final = nullcontext()


class _Process:
    spans: "Spans | None" = None


def is_wanted() -> bool:
    """Return whether the environment names a collector, and tracing is not switched off."""
    return (
        any(os.environ.get(name) for name in _ENDPOINTS)
        and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true"
        and os.environ.get("OTEL_TRACES_EXPORTER", "otlp") != "none"
    )


def begin_tracing(part: str) -> None:
    """Send this process's spans as the service `pkakey-PART`, if somebody wants them.

    Raises RuntimeError when the packages are not there or the collector's address is none.
    """
    if _Process.spans is not None or not is_wanted():
        return
    try:
        from pkakey.config.spans import Spans  # noqa: PLC0415  # Only where it is paid for.
    except ModuleNotFoundError as error:
        raise RuntimeError(
            f"{_ENDPOINTS[1]} asks for traces, and {error.name} is not installed. Install "
            "pkakey[tracing], or unset the variable."
        ) from error
    _Process.spans = Spans(part)


def span_of_use_case() -> Callable[[str], AbstractContextManager[object]] | None:
    """Return what opens the span of a use case or of one of its steps; None: no tracing."""
    spans = _Process.spans
    return None if spans is None else spans.inside


def asking_signer(operation: str) -> AbstractContextManager[object]:
    """Open the span of a question to the signer."""
    spans = _Process.spans
    return _NOTHING if spans is None else spans.to_signer(operation)


def traced(application: "WSGIApplication") -> "WSGIApplication":
    """Return the application, each of whose requests is a span; itself without tracing."""
    spans = _Process.spans
    return application if spans is None else spans.of_requests(application)


def name_request(method: str, route: str, request_id: str) -> None:
    """Give the request's span its name: of our own words, so that names do not grow."""
    spans = _Process.spans
    if spans is not None:
        spans.name_request(method, route, request_id)
