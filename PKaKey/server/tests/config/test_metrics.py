"""How processes keep their figures together, and what the web process counts."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pkakey.config.env import Env
from pkakey.services.measuring import FAILED, ISSUED, REFUSED, STEPS, USE_CASES
from pkakey_engine.errors import Refused
from prometheus_client import REGISTRY
from pydantic import ValidationError

ENVIRONMENT = {
    "PKAKEY_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
    "PKAKEY_REDIS_URL": "redis://127.0.0.1:1/0",
    "PKAKEY_SIGNER_SOCKET": "/nowhere/signer.sock",
    "PKAKEY_SECRET_KEY_FILE": "/nowhere/key",
}
COUNT = """
import sys
from pkakey.config.env import Env
from pkakey.config.metrics import keep_metrics
keep_metrics(Env.load())
from prometheus_client import Counter
Counter("tried", "Tried.").inc()
print("counted", flush=True)
sys.stdin.readline()
"""
SHOW = """
import sys, time, urllib.request
from pkakey.config.env import Env
from pkakey.config.metrics import keep_metrics, serve_metrics
env = Env.load()
keep_metrics(env)
serve_metrics(env)
serve_metrics(env)
print(urllib.request.urlopen(f"http://{env.metrics_listen}/metrics").read().decode())
"""


def run(program: str, folder: Path, **more: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, **ENVIRONMENT, "PKAKEY_METRICS_DIR": str(folder), **more}
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_processes_count_together_and_a_new_one_takes_the_place_of_a_dead_one(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "metrics"
    living = [run(COUNT, folder) for _ in range(3)]
    for process in living:
        assert process.stdout is not None
        assert process.stdout.readline() == "counted\n"
    for process in living:
        process.kill()
        process.communicate()
    again = run(COUNT, folder)
    again.communicate("\n", timeout=60)
    assert sorted(file.name for file in folder.glob("counter_*")) == [
        "counter_0.db",
        "counter_1.db",
        "counter_2.db",
    ]
    shown = run(SHOW, folder, PKAKEY_METRICS_LISTEN=f"127.0.0.1:{free_port()}")
    assert "tried_total 4.0" in shown.communicate(timeout=60)[0]


def test_the_files_have_their_room_on_the_disk_from_the_start(tmp_path: Path) -> None:
    run(COUNT, tmp_path).communicate("\n", timeout=60)
    for file in tmp_path.glob("*.db"):
        assert file.stat().st_blocks * 512 >= file.stat().st_size, file


def test_a_folder_that_is_no_good_keeps_nobody_from_working(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told, _ = run(COUNT, tmp_path / "file" / "metrics").communicate("\n", timeout=60)
    assert told == "counted\n"


@pytest.mark.parametrize("value", ["9464", "127.0.0.1", "127.0.0.1:", "a b:1", ":9464", "::1:80"])
def test_an_address_that_is_none_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in ENVIRONMENT.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("PKAKEY_METRICS_LISTEN", value)
    with pytest.raises(ValidationError, match="HOST:PORT"):
        Env.load()


def value(counter: Any, *labels: str) -> float:
    found: float = counter.labels(*labels)._value.get()
    return found


def test_an_issuance_is_counted_by_profile_and_timed_by_step(platform: Any) -> None:
    before = value(ISSUED, "tls-server", "api")
    steps = STEPS.labels("record")._sum.get()
    platform.issue("counted.example.test")
    assert value(ISSUED, "tls-server", "api") == before + 1
    assert STEPS.labels("record")._sum.get() > steps
    assert USE_CASES.labels("issue_certificate", "done")._sum.get() > 0


def test_a_refusal_is_counted_by_its_code(platform: Any) -> None:
    before = value(REFUSED, "tls-server", "csr.malformed")
    with pytest.raises(Refused):
        platform.issue(csr=b"no request")
    assert value(REFUSED, "tls-server", "csr.malformed") == before + 1


@pytest.mark.parametrize("bad_csr", [True, False])
def test_a_profile_that_a_client_made_up_makes_no_label(platform: Any, *, bad_csr: bool) -> None:
    options = {"csr": b"no request"} if bad_csr else {}
    for number in range(3):
        with pytest.raises(Refused):
            platform.issue(profile=f"made-up-{number}", **options)
    labels = {
        sample.labels["profile"]
        for family in REGISTRY.collect()
        if family.name == "pkakey_certificates_refused"
        for sample in family.samples
    }
    assert not [label for label in labels if "made-up" in label]
    assert "other" in labels


def test_an_absent_signer_is_counted_as_a_failure(
    platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pkakey.services.errors import ServiceUnavailable
    from pkakey_signers.client import SignerClient
    from pkakey_signers.errors import SignerUnavailable

    def away(*_: object, **__: object) -> bytes:
        raise SignerUnavailable("It is away.")

    monkeypatch.setattr(SignerClient, "sign", away)
    before = value(FAILED, "signer")
    with pytest.raises(ServiceUnavailable):
        platform.issue("no-signer.example.test")
    assert value(FAILED, "signer") == before + 1


class TestRequests:
    @pytest.fixture(autouse=True)
    def _database(self, db: None, services: Any) -> None:
        pass

    def test_requests_are_counted_by_route_and_never_by_path(self, client: Client) -> None:
        for number in range(3):
            client.get(f"/api/v1/certificates/{number:040x}/")
            client.generic("BREW", f"/nothing/{number}")
        text = "\n".join(
            f"{sample.name} {sample.labels}"
            for family in REGISTRY.collect()
            if family.name == "pkakey_http_request_duration_seconds"
            for sample in family.samples
        )
        assert "rest:certificate'" in text
        assert "BREW" not in text
        assert not re.search(r"/|[0-9a-f]{20}", text)

    def test_a_line_is_written_for_each_request_but_not_for_health(
        self, client: Client, settings: Any, capfd: pytest.CaptureFixture[str]
    ) -> None:
        import json

        settings.ACCESS_LOG = True
        client.get("/healthz")
        client.get("/api/v1/openapi.json", headers={"X-Request-ID": "seen-1"})
        lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line]
        assert [line["request_id"] for line in lines if line["event"] == "request"] == ["seen-1"]
        assert lines[-1]["route"] == "rest:openapi"

    def test_the_web_process_itself_shows_no_metrics(self, client: Client) -> None:
        answer = client.get("/metrics", follow=True)
        assert b"pkakey_" not in answer.content
        assert answer.status_code == 404


def test_the_request_id_goes_with_a_task_and_is_forgotten_after_it() -> None:
    from pkakey.config import request_ids, task_watching

    headers: dict[str, Any] = {}
    request_ids.begin("from-the-web")
    task_watching.send_request_id(headers=headers)
    request_ids.end()
    assert headers == {"request_id": "from-the-web"}

    class Request:
        request_id = headers["request_id"]

    class Task:
        name = "pkakey.config.tasks.relay_outbox"
        request = Request

    task_watching.begin(task_id="1", task=Task)
    assert request_ids.current() == "from-the-web"
    task_watching.end(task_id="1", task=Task, state="SUCCESS")
    assert request_ids.current() == ""
    Request.request_id = "no id\n"
    task_watching.begin(task_id="2", task=Task)
    assert request_ids.REQUEST_ID.fullmatch(request_ids.current())
    task_watching.end(task_id="2", task=Task, state="FAILURE")
