"""The client of KoolFlows: limits on time and size, and a circuit that opens when it is away."""

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from pkakey.services import to_flows
from pkakey.services.errors import ServiceUnavailable
from pkakey.services.to_flows import ToFlows


class Server:
    """Answers as it is told, and keeps what came."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b'{"id": "1"}'
        self.came: list[tuple[str, str, dict[str, str], bytes]] = []
        self.address = ""


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told.came.append((self.command, self.path, dict(self.headers.items()), body))
            self.send_response(told.status)
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            self.wfile.write(told.body)

        do_GET = do_POST  # noqa: N815  # http.server fixes the name.

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.address = f"http://127.0.0.1:{http.server_port}"
    Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    yield told
    http.shutdown()
    http.server_close()


def call(client: ToFlows, **more: Any) -> to_flows.Answer:
    return client.call("POST", "processes/", **{"token": "t", "body": {"a": 1}, **more})


def test_what_is_asked_arrives_with_token_key_and_request_id(server: Server) -> None:
    answer = call(ToFlows(server.address), key="k-1", request_id="r-1")
    assert (answer.status, answer.is_success, answer.body) == (200, True, {"id": "1"})
    ((method, path, headers, body),) = server.came
    assert (method, path, json.loads(body)) == ("POST", "/api/v1/processes/", {"a": 1})
    assert headers["Authorization"] == "Bearer t"
    assert headers["Idempotency-Key"] == "k-1"
    assert headers["X-Request-ID"] == "r-1"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_refusal_is_an_answer(server: Server, status: int) -> None:
    server.status, server.body = status, b'{"detail": "no"}'
    answer = call(ToFlows(server.address))
    assert (answer.status, answer.is_success, answer.body["detail"]) == (status, False, "no")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_trouble_on_the_other_side_is_told_as_such(server: Server, status: int) -> None:
    server.status = status
    with pytest.raises(ServiceUnavailable) as refusal:
        call(ToFlows(server.address))
    assert refusal.value.what == "koolflows"
    assert "What needs no approval is issued" in refusal.value.detail


def test_one_that_is_away_is_not_asked_again_for_a_while(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(to_flows, "monotonic", lambda: clock[0])
    client = ToFlows(server.address)
    client._place = ("127.0.0.1", 1)
    with pytest.raises(ServiceUnavailable):
        call(client)
    client._place = ToFlows(server.address)._place
    with pytest.raises(ServiceUnavailable):
        call(client)
    assert server.came == []
    clock[0] += to_flows.PAUSE_SECONDS + 1
    assert call(client).is_success


def test_an_answer_without_end_is_cut_off(server: Server) -> None:
    server.body = b"x" * (to_flows.MOST_BYTES + 10)
    with pytest.raises(ServiceUnavailable):
        call(ToFlows(server.address))


def test_one_that_takes_the_connection_and_says_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import socket

    monkeypatch.setattr(to_flows, "ANSWER_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        with pytest.raises(ServiceUnavailable):
            call(ToFlows(f"http://127.0.0.1:{silent.getsockname()[1]}"))
        assert time.monotonic() - began < 60


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"null"])
def test_an_answer_that_is_no_object_is_empty(server: Server, body: bytes) -> None:
    server.body = body
    assert call(ToFlows(server.address)).body == {}


@pytest.mark.parametrize("address", ["", "koolflows:8000", "https://x.test", "file:///etc/passwd"])
def test_an_address_that_is_none_is_refused_at_the_start(address: str) -> None:
    with pytest.raises(ValueError, match="internal address"):
        ToFlows(address)
