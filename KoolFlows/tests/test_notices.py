"""Notices of new tasks and webhooks, at a mail server and an HTTP server of the test's own."""

import hmac
import json
import socketserver
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

SECRET = "a-webhook-secret"  # For this test alone.


class Hook:
    """An HTTP server that keeps what is posted and answers as it is told."""

    def __init__(self) -> None:
        self.status = 200
        self.got: list[tuple[dict[str, str], bytes]] = []


@pytest.fixture
def hook() -> Iterator[tuple[Hook, str]]:
    kept = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # The library's name.
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.got.append((dict(self.headers.items()), body))
            self.send_response(kept.status)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield kept, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def post_office() -> Iterator[tuple[list[str], str]]:
    """A mail server that takes every mail (RFC 5321, as far as a client needs it)."""
    mails: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 test\r\n")
            while line := self.rfile.readline():
                word = line.split()[0].upper() if line.split() else b""
                if word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines: list[bytes] = []
                    while (part := self.rfile.readline()) not in {b".\r\n", b""}:
                        lines.append(part)
                    mails.append(b"".join(lines).decode())
                self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
                if word == b"QUIT":
                    return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield mails, f"smtp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def effect(**parameters: Any) -> Any:
    from koolflows.services.outside import Effect

    return Effect("job-7", "notify", parameters, {"id": "p", "key": "d"})


def test_a_new_task_is_told_by_mail_and_webhook_once(
    flows: Any, shipped: Any, hook: Any, post_office: Any, issuer: Any
) -> None:
    from koolflows.services import Outside, Services
    from koolflows.services.to_people import Mail, Notices, Webhooks
    from theddt_identity import Verifier

    kept, address = hook
    mails, server = post_office
    notices = Notices(
        Webhooks({"notices": address}, SECRET), Mail(server, "flows@x.test", ("team@x.test",))
    )
    shipped.services = Services(
        Outside({"notify": notices}, notifies=True),
        Verifier(audience="koolflows", issuers=[issuer.trusted]),
    )
    shipped.start(
        "namespace-grant",
        {"team": "default", "pattern": "*.x.internal", "profile": "tls-client",
         "until": "2027-01-01T00:00:00Z", "purpose": "the team's own hosts"},
    )  # fmt: skip
    shipped.work()
    shipped.work()
    ((headers, body),) = kept.got
    signed = hmac.new(SECRET.encode(), body, sha256).hexdigest()
    assert headers["X-Flows-Signature"] == f"sha256={signed}"
    told = json.loads(body)
    assert "Grant of *.x.internal" in json.dumps(told["body"])
    assert headers["Idempotency-Key"] == told["key"]
    (mail,) = mails
    assert "To: team@x.test" in mail
    assert "Grant of *.x.internal" in mail
    assert f"<{told['key']}@koolflows>" in mail


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_webhook_that_fails_for_now_is_asked_again(hook: Any, status: int) -> None:
    from koolflows.services.outside import Unavailable
    from koolflows.services.to_people import Webhooks

    kept, address = hook
    kept.status = status
    with pytest.raises(Unavailable):
        Webhooks({"t": address}, SECRET)(effect(target="t", body={}))


@pytest.mark.parametrize("status", [302, 400, 404])
def test_a_webhook_that_refuses_is_refused_and_a_redirect_is_not_followed(
    hook: Any, status: int
) -> None:
    from koolflows.services.outside import RefusedOutside
    from koolflows.services.to_people import Webhooks

    kept, address = hook
    kept.status = status
    with pytest.raises(RefusedOutside):
        Webhooks({"t": address}, SECRET)(effect(target="t", body={}))
    assert len(kept.got) == 1


def test_an_unknown_target_is_refused_and_an_address_is_none(hook: Any) -> None:
    from koolflows.services.outside import RefusedOutside
    from koolflows.services.to_people import Webhooks

    kept, address = hook
    with pytest.raises(RefusedOutside, match="Known: t"):
        Webhooks({"t": address}, SECRET)(effect(target=address, body={}))
    assert kept.got == []


def test_who_does_not_answer_is_asked_again() -> None:
    from koolflows.services.outside import Unavailable
    from koolflows.services.to_people import Mail, Webhooks

    with pytest.raises(Unavailable):
        Webhooks({"t": "http://127.0.0.1:1/"}, SECRET)(effect(target="t", body={}))
    with pytest.raises(Unavailable):
        Mail("smtp://127.0.0.1:1", "a@x.test", ("b@x.test",)).send(effect(subject="s", text="t"))


def test_a_subject_cannot_add_headers(post_office: Any) -> None:
    from koolflows.services.to_people import Mail

    mails, server = post_office
    Mail(server, "a@x.test", ("b@x.test",)).send(
        effect(subject="new\r\nBcc: evil@x.test", text="t")
    )
    assert "\nBcc:" not in mails[0]
