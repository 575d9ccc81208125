"""Fixtures of the status front's tests."""

import threading
from collections.abc import Iterator
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest

from PKaKey.server.tests.fronts.status.status_pki import PKI


@pytest.fixture
def pki() -> PKI:
    return PKI()


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class _Threaded(ThreadingMixIn, WSGIServer):
    daemon_threads = True


@pytest.fixture
def served(pki: PKI) -> Iterator[str]:
    """The application on a loopback port; yields its address."""
    server = make_server("127.0.0.1", 0, pki.application, _Threaded, _Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()
