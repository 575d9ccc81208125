"""Spans by OpenTelemetry's own libraries; imported only where a collector is named."""

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

# Today's names of attributes, unless the operator asks for others. Read at the first import.
os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.propagate import set_global_textmap
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import (
    TraceContextTextMapPropagator,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_HEALTH: Final = ("/healthz", "/readyz")
# Who watches asks these all the time; a query may hold names that somebody searched for.
_UNSAID: Final = ("url.query", "http.target", "http.url", "user_agent.original", "http.user_agent")


class Spans:
    """This process's tracer; makes psycopg and Celery trace as well."""

    def __init__(self, part: str) -> None:
        _check_address()
        # The variable OTEL_SERVICE_NAME would give all parts one name; its value goes before ours.
        prefix = os.environ.pop("OTEL_SERVICE_NAME", "pkakey")
        provider = TracerProvider(
            resource=Resource.create({"service.name": f"{prefix}-{part}"}),
        )
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
        # Without baggage: nobody outside gives us words to carry on.
        set_global_textmap(TraceContextTextMapPropagator())
        PsycopgInstrumentor().instrument(tracer_provider=provider)
        CeleryInstrumentor().instrument(tracer_provider=provider)  # type: ignore[no-untyped-call]
        self._tracer = provider.get_tracer("pkakey")

    def inside(self, name: str) -> AbstractContextManager[trace.Span]:
        """Open a span of our own work."""
        return self._tracer.start_as_current_span(name)

    def to_signer(self, operation: str) -> AbstractContextManager[trace.Span]:
        """Open a span of the wait for the signer."""
        return self._tracer.start_as_current_span(f"signer {operation}", kind=trace.SpanKind.CLIENT)

    def of_requests(self, application: "WSGIApplication") -> "WSGIApplication":
        """Return the application, with a span for each request but those about health."""
        watched = OpenTelemetryMiddleware(application, request_hook=_say_less)

        def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
            handler = application if environ.get("PATH_INFO") in _HEALTH else watched
            return handler(environ, start_response)

        return answer

    def name_request(self, method: str, route: str, request_id: str) -> None:
        """Name the span at work, and give it the id that the logs have."""
        span = trace.get_current_span()
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
        span.set_attribute("pkakey.request_id", request_id)


def _say_less(span: trace.Span, environ: Any) -> None:  # noqa: ANN401  # PEP 3333's environment.
    """Take out of the span what the client wrote and nobody needs."""
    method = environ.get("REQUEST_METHOD", "")
    span.update_name(method if method.isalpha() and len(method) < 10 else "other")  # noqa: PLR2004
    attributes = getattr(span, "attributes", None) or {}
    for name in _UNSAID:
        if name in attributes:
            span.set_attribute(name, "")


def _check_address() -> None:
    for name in ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        value = os.environ.get(name, "")
        parts = urlsplit(value)
        if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise RuntimeError(
                f"{name} is no address of a collector: give one such as http://127.0.0.1:4318."
            )
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = os.environ.get(name, "http/protobuf")
        if protocol != "http/protobuf":
            raise RuntimeError(
                f"{name} is {protocol[:40]!r}; traces are sent as http/protobuf. Unset it, and "
                "give the collector's address for that (port 4318 by custom)."
            )
