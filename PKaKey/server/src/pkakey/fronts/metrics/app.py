"""The WSGI application: GET /metrics, and /healthz for whoever started it."""

import logging
import threading
import urllib.request
from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

logger = logging.getLogger(__name__)

KEPT_SECONDS: Final = 2.0
_GATEWAY_PREFIX: Final = "traefik_"
_GATEWAY_BYTES: Final = 4 * 1024 * 1024
_GATEWAY_SECONDS: Final = 3.0


class MetricsApplication:
    """Shows one registry, and the gateway's own figures behind it (PEP 3333).

    An answer is kept for two seconds: asking often does not load the platform.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        gateway: Callable[[], bytes] = bytes,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._registry = registry
        self._gateway = gateway
        self._clock = clock
        self._lock = threading.Lock()
        self._kept = b""
        self._kept_at = float("-inf")

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request."""
        path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
        if path not in {"/metrics", "/healthz"}:
            status, kind, body = "404 Not Found", _TEXT, b"There is /metrics here, and /healthz.\n"
        elif method not in {"GET", "HEAD"}:
            status, kind, body = "405 Method Not Allowed", _TEXT, b"Only GET and HEAD.\n"
        elif path == "/healthz":
            status, kind, body = "200 OK", _TEXT, b"The metrics service runs.\n"
        else:
            status, kind, body = "200 OK", CONTENT_TYPE_LATEST, self._text()
        length = ("Content-Length", str(len(body)))
        start_response(status, [("Content-Type", kind), length, ("Cache-Control", "no-store")])
        return [] if method == "HEAD" else [body]

    def _text(self) -> bytes:
        with self._lock:
            if self._clock() - self._kept_at >= KEPT_SECONDS:
                self._kept = generate_latest(self._registry) + self._gateway()
                self._kept_at = self._clock()
            return self._kept


_TEXT: Final = "text/plain; charset=utf-8"


def gateway_figures(url: str) -> Callable[[], bytes]:
    """Return a function that returns the gateway's own figures; nothing while it is away.

    Only its `traefik_…` families: those of its runtime have names that any program may use.
    """

    def ask() -> bytes:
        try:
            with urllib.request.urlopen(url, timeout=_GATEWAY_SECONDS) as answer:  # noqa: S310  # From the environment, never from a client.
                text: bytes = answer.read(_GATEWAY_BYTES)
        except OSError as error:
            logger.warning("The gateway gave no figures: %s", error)
            return b"# TYPE pkakey_gateway_up gauge\npkakey_gateway_up 0\n"
        lines = [line for line in text.splitlines() if _is_gateways_own(line.decode("latin-1"))]
        return b"\n".join([*lines, b"# TYPE pkakey_gateway_up gauge", b"pkakey_gateway_up 1", b""])

    return ask


def _is_gateways_own(line: str) -> bool:
    name = line.split(" ", 3)[2] if line.startswith(("# HELP ", "# TYPE ")) else line
    return name.startswith(_GATEWAY_PREFIX)
