"""The web process killed (SIGKILL) while it moves a process: all of the move happened, or nothing.

The process is the real one. A lock of ours on the row or table that it is about to write keeps it
in the middle of its move.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest

from KoolFlows.tests.linear import catch, decision, linear, message, script
from KoolFlows.tests.test_killed_worker import blocked, until

pytestmark = pytest.mark.timeout(300)
TEXT = linear(
    "counted", script("Count", "total = sum(parts)"), decision("Look"),
    script("Add", "total = total + 1"), catch("Hear", "news", "heard"),
    messages=message("news"), business_key="order",
)  # fmt: skip
START = {"diagram": "counted", "data": {"order": "17", "parts": [1, 2, 3]}}


class Web:
    """KoolFlows' web process, started and killed as often as wanted."""

    def __init__(self, environment: dict[str, str], log: Path, issuer: Any) -> None:
        self.environment = environment
        self.log = log
        self.issuer = issuer
        self.process: subprocess.Popen[bytes] | None = None
        with socket.socket() as chosen:
            chosen.bind(("127.0.0.1", 0))
            self.port = chosen.getsockname()[1]

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "granian", "--interface", "wsgi",
                    "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1",
                    "--blocking-threads", "4", "--no-ws", "koolflows.config.wsgi:application",
                ],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip
        until(self.answers)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5):
                return True
        except (OSError, urllib.error.URLError):
            return False

    def kill(self) -> None:
        """Kill it and its worker at once."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(60)
            self.process = None

    def post(self, path: str, body: Any, name: str, *roles: str, key: str) -> tuple[int, Any]:
        now = datetime.now(tz=UTC)
        token = self.issuer.token(
            now=now, audience="koolflows", sub=name, name=name.title(), roles=list(roles)
        )
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1/{path}",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json",
             "Idempotency-Key": key},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # Loopback.
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def killed_during(self, act: Callable[[], Any], holds: Callable[[], bool]) -> None:
        """Begin a call, and kill the process once `holds`: the caller hears nothing."""
        heard: list[Any] = []

        def call() -> None:
            try:
                heard.append(act())
            except (OSError, urllib.error.URLError) as error:
                heard.append(error)

        caller = Thread(target=call)
        caller.start()
        until(holds)
        self.kill()
        caller.join(60)
        (answer,) = heard
        assert isinstance(answer, OSError), answer


@pytest.fixture
def web(tmp_path: Path, flows: Any, issuer: Any, role_dsn: Callable[[str], str]) -> Iterator[Web]:
    (tmp_path / "secret-key").write_text("for tests only, and as long as a real one has to be: k")
    (tmp_path / "service-key").write_text("a-service-key")
    (tmp_path / "jwks.json").write_bytes(issuer.jwks)
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "koolflows.config.settings",
        "KOOLFLOWS_DATABASE_URL": role_dsn("koolflows_web"),
        "KOOLFLOWS_SECRET_KEY_FILE": str(tmp_path / "secret-key"),
        "KOOLFLOWS_SERVICE_KEY_FILE": str(tmp_path / "service-key"),
        "KOOLFLOWS_TRUSTED_ISSUERS": json.dumps({issuer.issuer: str(tmp_path / "jwks.json")}),
    }
    flows.deploy(TEXT)
    running = Web(environment, tmp_path / "web.log", issuer)
    running.start()
    yield running
    running.kill()


def started(admin_dsn: str) -> int:
    with psycopg.connect(admin_dsn) as admin:
        row = admin.execute("SELECT count(*) FROM instances_instance").fetchone()
    return row[0] if row else 0


def test_killed_while_a_process_starts_and_runs_its_script_the_same_call_starts_it_once(
    web: Web, flows: Any, admin_dsn: str
) -> None:
    def start() -> tuple[int, Any]:
        return web.post("processes/", START, "rita", "pki-requester", key="start-1")

    with psycopg.connect(admin_dsn) as admin:
        admin.execute("LOCK TABLE tasks_humantask IN EXCLUSIVE MODE")
        web.killed_during(start, blocked(admin_dsn))
    assert started(admin_dsn) == 0
    web.start()
    status, body = start()
    assert status == 201, body
    assert start()[1]["id"] == body["id"]
    assert started(admin_dsn) == 1
    assert flows.kinds(body["id"]).count("started") == 1
    assert flows.task(body["id"]).data["total"] == 6


def test_killed_while_somebody_decides_the_task_is_still_open_and_is_decided_once(
    web: Web, flows: Any, admin_dsn: str
) -> None:
    process = flows.start(START["diagram"], START["data"])
    task = flows.task(process).pk

    def decide() -> tuple[int, Any]:
        body = {"values": {"outcome": "on"}}
        return web.post(f"tasks/{task}/decision/", body, "otto", "pki-officer", key="d-1")

    with psycopg.connect(admin_dsn) as admin:
        admin.execute("LOCK TABLE instances_subscription IN EXCLUSIVE MODE")
        web.killed_during(decide, blocked(admin_dsn))
    assert flows.task(process).pk == task
    assert flows.kinds(process).count("decided") == 0
    web.start()
    status, body = decide()
    assert status == 200, body
    assert flows.task(process) is None
    assert flows.kinds(process).count("decided") == 1
    assert [step for step in flows.process(process).path if step == "Add"] == ["Add"]


def test_killed_while_a_message_is_delivered_the_same_message_is_delivered_once(
    web: Web, flows: Any, admin_dsn: str
) -> None:
    process = flows.start(START["diagram"], START["data"])
    flows.decide(process, {"outcome": "on"})

    def send() -> tuple[int, Any]:
        body = {"name": "news", "business_key": "17", "payload": {"said": "hello"}}
        return web.post("messages/", body, "dora", "pki-admin", key="m-1")

    with psycopg.connect(admin_dsn) as admin:
        admin.execute("LOCK TABLE instances_delivery IN EXCLUSIVE MODE")
        web.killed_during(send, blocked(admin_dsn))
    assert flows.outcome(process)[0] == "running"
    assert flows.kinds(process).count("message") == 0
    web.start()
    for _ in range(2):
        status, body = send()
        assert status in {200, 202}, body
    assert flows.outcome(process) == ("completed", "Over")
    assert flows.kinds(process).count("message") == 1
    assert flows.process(process).data["heard"] == {"said": "hello"}
