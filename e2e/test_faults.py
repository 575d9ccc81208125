"""Kill -9 of each part under load: it comes back, nothing is unrecorded, nothing is lost."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import psutil
import pytest

from bench.load import Target, exchange
from bench.requests import csr_pem, issue_request
from e2e.native_platform import DDT, Platform

pytestmark = pytest.mark.platform

SERVICES = [
    "signer", "web", "status", "worker", "beat", "valkey", "traefik", "postgresql", "flows",
    "flows-worker",
]  # fmt: skip


class Load:
    """Two clients that issue without pause and keep the serial of each certificate they got."""

    def __init__(self, platform: Platform) -> None:
        """Prepare the requests; `with` starts and stops the clients."""
        self.platform = platform
        self.serials: list[str] = []
        self.stopped = threading.Event()
        self.token = platform.token("certificates:issue")
        self.root = str(platform.root())
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(2)]

    def _run(self, number: int) -> None:
        host = f"pkakey.{self.platform.domain}"
        target = Target(self.platform.https_port, host, self.root)
        counter = 0
        while not self.stopped.is_set():
            try:
                with target.connect() as connection:
                    while not self.stopped.is_set():
                        counter += 1
                        request = issue_request(
                            host=f"{host}:{self.platform.https_port}",
                            token=self.token,
                            csr=csr_pem(f"w{number}-{counter}.load.test"),
                        )
                        status, body = exchange(connection, request)
                        if status == 201:
                            self.serials.append(json.loads(body)["serial_number"])
                        else:
                            time.sleep(0.05)
            except OSError:
                time.sleep(0.1)

    def __enter__(self) -> Self:
        """Start the clients."""
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the clients."""
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def service(platform: Platform, name: str) -> dict[str, object]:
    rows = {row["name"]: row for row in platform.status()["services"]}
    return dict(rows[name])


def wait_until_ready(platform: Platform, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if platform.status()["state"] == "ready":
            return
        time.sleep(0.25)
    pytest.fail(f"Not ready after {seconds} s: {platform.status()}")


def assert_every_signature_has_a_record(platform: Platform) -> None:
    result = platform.ddt("doctor", "--json", check=False)
    checks = {row["name"]: row for row in json.loads(result.stdout)["checks"]}
    assert checks["signer-log"]["ok"], checks["signer-log"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_killed_child_comes_back_and_nothing_is_lost(platform: Platform, name: str) -> None:
    wait_until_ready(platform)
    before = service(platform, name)
    with Load(platform) as load:
        time.sleep(1)
        os.kill(int(str(before["pid"])), signal.SIGKILL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            after = service(platform, name)
            if after["state"] == "ready" and after["pid"] != before["pid"]:
                break
            time.sleep(0.2)
        got = len(load.serials)
        deadline = time.monotonic() + 30
        while len(load.serials) <= got and time.monotonic() < deadline:
            time.sleep(0.2)
    wait_until_ready(platform)
    after = service(platform, name)
    assert after["pid"] != before["pid"]
    assert int(str(after["restarts"])) > int(str(before["restarts"]))
    assert len(load.serials) > got, "no certificate was issued after the restart"
    for number in [load.serials[0], *load.serials[got - 3 : got + 3], load.serials[-1]]:
        assert json.loads(platform.ddt("show", number, "--json").stdout)["serial_number"] == number
    assert_every_signature_has_a_record(platform)


@pytest.mark.parametrize("name", ["web", "signer", "worker", "flows"])
def test_a_hanging_child_is_told_of_and_replaced(platform: Platform, name: str) -> None:
    wait_until_ready(platform)
    before = service(platform, name)
    hanging = psutil.Process(int(str(before["pid"])))
    for process in [hanging, *hanging.children(recursive=True)]:
        process.suspend()
    told = wait_for_row(platform, name, lambda row: row["state"] == "unhealthy")
    assert "unanswered" in str(told["detail"])
    assert platform.status()["state"] == "degraded"
    wait_for_row(platform, name, lambda row: row["restarts"] != before["restarts"])
    wait_until_ready(platform)
    assert service(platform, name)["pid"] != before["pid"]
    assert platform.ddt("list", "--json").returncode == 0
    assert_every_signature_has_a_record(platform)


def wait_for_row(
    platform: Platform, name: str, good: Callable[[dict[str, object]], bool]
) -> dict[str, object]:
    deadline = time.monotonic() + 120
    while not good(row := service(platform, name)):
        assert time.monotonic() < deadline, row
        time.sleep(0.25)
    return row


def processes_of(home: Path) -> list[psutil.Process]:
    """Return the processes that were started with this home in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DDT_HOME") == str(home) and process.pid != os.getpid():
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def wait_for_no_process(home: Path, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while processes_of(home) and time.monotonic() < deadline:
        time.sleep(0.2)
    left = [" ".join(process.cmdline()[:4]) for process in processes_of(home)]
    assert not left


@pytest.fixture(scope="module")
def own_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A second platform, beside the shared one, with another home and other ports.

    Each test starts and stops it; a first start is slow, so they share the home.
    """
    own = Platform(tmp_path_factory.mktemp("own") / "home")
    yield own
    own.ddt("down", check=False)


def test_a_second_platform_lives_and_dies_beside_the_first(
    platform: Platform, own_platform: Platform
) -> None:
    own_platform.ddt("up")
    try:
        again = own_platform.ddt("up")
        assert "already" in again.stdout + again.stderr
        assert own_platform.status()["state"] == "ready"
        before = json.loads(own_platform.ddt("list", "--json").stdout)
        supervisor = psutil.Process(service(own_platform, "web")["pid"]).parent()  # type: ignore[arg-type]
        assert supervisor is not None
        supervisor.send_signal(signal.SIGKILL)
        wait_for_no_process(own_platform.home)
        assert own_platform.status()["state"] == "stopped"
        own_platform.ddt("up")
        assert json.loads(own_platform.ddt("list", "--json").stdout) == before
    finally:
        own_platform.ddt("down")
    wait_for_no_process(own_platform.home)
    stopped = own_platform.ddt("status", "--json", check=False)
    assert stopped.returncode != 0
    assert json.loads(stopped.stdout)["state"] == "stopped"
    wait_until_ready(platform)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_foreground_leaves_no_process(
    own_platform: Platform, number: signal.Signals
) -> None:
    foreground = subprocess.Popen(
        [DDT, "up", "--foreground"],
        env=own_platform.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until_ready(own_platform, seconds=90)
    finally:
        foreground.send_signal(number)
        foreground.communicate(timeout=60)
    wait_for_no_process(own_platform.home)
