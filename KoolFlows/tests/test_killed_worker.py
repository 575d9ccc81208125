"""A worker that is killed (SIGKILL) in the middle: the next one goes on, and nothing is doubled.

The worker is the real process; PKaKey is a server of ours that keeps what was asked of it, knows
each key once as PKaKey does, and can be told to let the answer wait.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import UUID

import psycopg
import pytest

from KoolFlows.tests.test_messages import RECEIVER, SENDER

pytestmark = pytest.mark.timeout(300)
KEY = "certificate-approval-one"
REQUEST = {
    "request": {
        "id": "6e4c5a0e-7a01-4d42-8d8b-0b1c0f2e3d4c",
        "sha256": "ab" * 32,
        "profile": "tls-server",
        "names": ["www.example.test"],
    }
}


class PKaKey:
    """Counts effects by key; `go` lets answers out."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.effects: set[tuple[str, str]] = set()
        self.go = Event()
        self.go.set()
        self.address = ""

    @contextmanager
    def serving(self) -> Iterator["PKaKey"]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                effect = (self.path, self.headers["Idempotency-Key"])
                stand_in.effects.add(effect)
                stand_in.asked.append(effect)
                stand_in.go.wait(120)
                body = json.dumps({"certificate": "0a"}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield self
        finally:
            self.go.set()
            server.shutdown()
            server.server_close()


@pytest.fixture
def pkakey() -> Iterator[PKaKey]:
    with PKaKey().serving() as stand_in:
        yield stand_in


@pytest.fixture
def worker(
    tmp_path: Path, pkakey: PKaKey, role_dsn: Callable[[str], str], admin_dsn: str
) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Return what starts a worker; whichever still runs at the end is ended."""
    (tmp_path / "secret-key").write_text("for tests only, and as long as a real one has to be: k")
    (tmp_path / "service-key").write_text("a-service-key")
    running: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "koolflows.config.settings",
            "KOOLFLOWS_DATABASE_URL": role_dsn("koolflows_worker"),
            "KOOLFLOWS_SECRET_KEY_FILE": str(tmp_path / "secret-key"),
            "KOOLFLOWS_SERVICE_KEY_FILE": str(tmp_path / "service-key"),
            "KOOLFLOWS_PKAKEY_URL": pkakey.address,
            "KOOLFLOWS_TRUSTED_ISSUERS": '{"https://issuer.example.test": "/nonexistent"}',
        }
        with (tmp_path / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "koolflows.config.worker"],
                env=environment,
                stdout=log,
                stderr=log,
            )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait(60)


def until(holds: Callable[[], Any]) -> None:
    """Wait until it holds; a slow machine gets two minutes."""
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(60)


def let_claims_end(admin_dsn: str) -> None:
    """Move the moment at which another worker may take the job to now."""
    with psycopg.connect(admin_dsn) as admin:
        admin.execute("UPDATE jobs_job SET next_attempt_at = now() WHERE state = 'waiting'")


def over(shipped: Any, process: UUID, end: str) -> Callable[[], bool]:
    return lambda: bool(shipped.outcome(process) == ("completed", end))


def test_killed_while_pkakey_works_the_next_asks_with_the_same_key(
    shipped: Any, worker: Any, pkakey: PKaKey, admin_dsn: str
) -> None:
    pkakey.go.clear()
    process = shipped.start(KEY, REQUEST)
    shipped.decide(process, "approve")
    first = worker()
    until(lambda: pkakey.asked)
    kill(first)
    pkakey.go.set()
    assert shipped.outcome(process) == ("running", "")
    let_claims_end(admin_dsn)
    worker()
    until(over(shipped, process, "OneIssued"))
    assert len(pkakey.asked) == 2
    assert len(pkakey.effects) == 1
    assert shipped.kinds(process).count("job-done") == 1


def test_killed_again_and_again_every_process_ends_with_one_effect(
    shipped: Any, worker: Any, pkakey: PKaKey, admin_dsn: str
) -> None:
    processes = [shipped.start(KEY, REQUEST) for _ in range(12)]
    for process in processes:
        shipped.decide(process, "approve")
    for wanted in (2, 5, 8):
        process = worker()
        until(lambda wanted=wanted: len(pkakey.effects) >= wanted)
        kill(process)
        let_claims_end(admin_dsn)
    worker()
    for process in processes:
        until(over(shipped, process, "OneIssued"))
    assert len(pkakey.effects) == len(processes)
    for process in processes:
        assert shipped.kinds(process).count("job-done") == 1
        assert shipped.kinds(process).count("completed") == 1


def test_killed_among_timers_each_fires_once(shipped: Any, worker: Any, admin_dsn: str) -> None:
    from datetime import timedelta

    shipped.now -= timedelta(days=15)
    processes = [shipped.start(KEY, REQUEST) for _ in range(12)]

    def ended() -> int:
        with psycopg.connect(admin_dsn) as admin:
            row = admin.execute(
                "SELECT count(*) FROM history_entry "
                "WHERE kind = 'passed' AND element = 'OneTooLate'"
            ).fetchone()
        return row[0] if row else 0

    first = worker()
    until(ended)
    kill(first)
    let_claims_end(admin_dsn)
    worker()
    for process in processes:
        until(over(shipped, process, "OneExpired"))
    assert ended() == len(processes)


def test_a_worker_that_is_asked_to_stop_finishes_what_it_began(
    shipped: Any, worker: Any, pkakey: PKaKey
) -> None:
    pkakey.go.clear()
    process = shipped.start(KEY, REQUEST)
    shipped.decide(process, "approve")
    running = worker()
    until(lambda: pkakey.asked)
    running.send_signal(signal.SIGTERM)
    pkakey.go.set()
    assert running.wait(60) == 0
    assert shipped.outcome(process) == ("completed", "OneIssued")
    assert len(pkakey.asked) == 1


def by_risk_alone(shipped: Any) -> UUID:
    found: UUID = shipped.start(
        "certificate-approval-by-risk",
        {"request": {**REQUEST["request"], "validity_days": 30, "wildcard": False}},
    )
    return found


def in_a_called_process(shipped: Any) -> UUID:
    found: UUID = shipped.start(
        "certificate-approval-by-risk",
        {"request": {**REQUEST["request"], "validity_days": 100, "wildcard": False}},
    )
    shipped.decide(found, "approve", element="OneApprove")
    return found


def in_a_loop(shipped: Any) -> UUID:
    found: UUID = shipped.start(
        "mass-replacement-drill", {"why": "A key leaked.", "serial_numbers": ["0a", "0b", "0c"]}
    )
    shipped.decide(found, {"outcome": "begin", "reason": "yearly"})
    return found


def in_a_grant(shipped: Any) -> UUID:
    found: UUID = shipped.start(
        "namespace-grant",
        {"team": "default", "pattern": "*.x.internal", "profile": "tls-client",
         "until": "2027-01-01T00:00:00Z", "purpose": "the team's own hosts"},
    )  # fmt: skip
    shipped.decide(found, "approve")
    return found


@pytest.mark.parametrize(
    ("begin", "effects"),
    [(by_risk_alone, 1), (in_a_called_process, 1), (in_a_loop, 3), (in_a_grant, 1)],
)
def test_killed_in_each_kind_of_service_step_it_is_done_once(
    shipped: Any, worker: Any, pkakey: PKaKey, admin_dsn: str, begin: Any, effects: int
) -> None:
    pkakey.go.clear()
    process = begin(shipped)
    first = worker()
    until(lambda: pkakey.asked)
    kill(first)
    pkakey.go.set()
    assert shipped.outcome(process)[0] == "running"
    let_claims_end(admin_dsn)
    worker()

    def waits_for_nothing() -> bool:
        with psycopg.connect(admin_dsn) as admin:
            row = admin.execute("SELECT count(*) FROM jobs_job WHERE state = 'waiting'").fetchone()
        return row == (0,) and len(pkakey.effects) >= effects

    until(waits_for_nothing)
    assert len(pkakey.effects) == effects
    assert len(pkakey.asked) == effects + 1


def test_killed_while_something_is_undone_it_is_undone_once(
    shipped: Any, worker: Any, pkakey: PKaKey, admin_dsn: str
) -> None:
    from KoolFlows.tests.test_shipped_diagrams import TestActivation as Ceremony

    process = shipped.start(Ceremony.KEY, Ceremony.ASK)
    Ceremony().agree(shipped, process, "hans", "hilde", "horst")
    first = worker()
    until(lambda: shipped.task(process, "CaConfirm"))
    pkakey.go.clear()
    done = len(pkakey.asked)
    shipped.decide(process, "refuse", element="CaConfirm")
    until(lambda: len(pkakey.asked) > done)
    kill(first)
    pkakey.go.set()
    let_claims_end(admin_dsn)
    worker()
    until(over(shipped, process, "CaUndone"))
    assert len(pkakey.effects) == done + 1
    assert len(pkakey.asked) == done + 2


def send_a_message(flows: Any) -> tuple[UUID, UUID]:
    """Start a process that waits for a message and one that sends it: their ids."""
    flows.deploy(SENDER)
    flows.deploy(RECEIVER)
    receiver = flows.start("receiver", {"order": "17"})
    return flows.start("sender", {"order": "17", "said": "hello"}), receiver


def blocked(admin_dsn: str) -> Callable[[], bool]:
    """Return what says whether a worker waits for a lock of ours."""

    def holds() -> bool:
        with psycopg.connect(admin_dsn) as admin:
            row = admin.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND usename LIKE 'koolflows\\_%' AND wait_event_type = 'Lock'"
            ).fetchone()
        return row is not None and row[0] > 0

    return holds


@pytest.mark.parametrize("is_delivered", [False, True], ids=["before", "after"])
def test_killed_before_or_after_a_message_is_delivered_it_counts_once(
    flows: Any, worker: Any, admin_dsn: str, *, is_delivered: bool
) -> None:
    sender, receiver = send_a_message(flows)
    with psycopg.connect(admin_dsn) as first, psycopg.connect(admin_dsn) as second:
        # The worker takes the job, and waits for the receiver's row.
        first.execute("SELECT FROM instances_instance WHERE id = %s FOR UPDATE", [receiver])
        running = worker()
        until(blocked(admin_dsn))
        if is_delivered:
            # It delivers, and waits for the job's row.
            second.execute("SELECT FROM jobs_job WHERE instance_id = %s FOR UPDATE", [sender])
            first.rollback()
            until(lambda: flows.kinds(receiver).count("message") == 1)
            until(blocked(admin_dsn))
        kill(running)
    assert flows.kinds(receiver).count("message") == int(is_delivered)
    assert flows.kinds(sender).count("job-done") == 0
    let_claims_end(admin_dsn)
    worker()
    until(lambda: flows.kinds(sender).count("job-done") == 1)
    assert flows.kinds(receiver).count("message") == 1
    assert flows.kinds(receiver).count("task-opened") == 1
    assert flows.kinds(sender).count("job-queued") == 1
