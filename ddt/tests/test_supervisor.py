"""The supervisor and its guardian with small programs that misbehave on purpose."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from ddt.native import control
from ddt.native.health import Health
from ddt.native.units import answers, http, logged, tcp, touched, unix

# A parent with a child that ignores SIGTERM, and a grandchild that fled into its own session.
FAMILY = """
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"])
fled = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"],
    start_new_session=True)
time.sleep(300)
"""

ORDERED = """
import signal, sys, time
def say(word):
    with open(ORDER, "a") as file:
        file.write(word + "\\n")
def end(*_):
    say("stop " + sys.argv[1])
    sys.exit()
signal.signal(signal.SIGTERM, end)
say("start " + sys.argv[1])
time.sleep(0.3 if sys.argv[1] == "task" else 300)
"""

DRIVER = """
import asyncio, os, sys
from pathlib import Path
from ddt.native.guardian import guard
from ddt.native.supervisor import Supervisor
from ddt.native.units import Unit
import ddt.native.supervisor as module
folder = Path(sys.argv[1])
def run():
    env = dict(os.environ)
    py = sys.executable
    units = {units}
    module.BACK_OFF_FIRST = 0.05
    module.CHECK_SECONDS = 0.1
    asyncio.run(Supervisor(units, logs=folder / "logs", control_socket=folder / "c.sock").run())
sys.exit(guard(run, folder / "lock"))
"""


class Driven:
    """A guardian with a supervisor in a process of its own."""

    def __init__(self, folder: Path, units: str) -> None:
        self.folder = folder
        self.code = DRIVER.replace("{units}", textwrap.dedent(units).strip())
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        env = {**os.environ, "DDT_TEST_MARK": str(self.folder)}
        return subprocess.Popen(
            [sys.executable, "-c", self.code, str(self.folder)], env=env, start_new_session=True
        )

    def ask(self, **request: str) -> dict[str, Any]:
        return control.ask(self.folder / "c.sock", dict(request)) or {}

    def unit(self, name: str) -> dict[str, Any]:
        answer = self.ask(do="status")
        rows: dict[str, dict[str, Any]] = {
            u["name"]: u for u in answer.get("services", []) + answer.get("tasks", [])
        }
        return rows.get(name, {"state": "?", "pid": None, "restarts": -1})

    def processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("DDT_TEST_MARK") == str(self.folder):
                    found.append(process)
            except psutil.Error:
                continue
        return [p for p in found if p.pid != os.getpid()]


def wait_for(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.02)


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Callable[[str], Driven]]:
    started: list[Driven] = []

    def start(units: str) -> Driven:
        started.append(Driven(tmp_path, units))
        wait_for(lambda: started[-1].ask(do="status"))
        return started[-1]

    yield start
    for driven in started:
        if driven.process.poll() is None:
            driven.process.terminate()
        driven.process.wait(20)
        for left in driven.processes():
            left.kill()


SLEEPER = '[Unit("a", [py, "-c", "import time; time.sleep(300)"], environment=env)]'


def test_a_crashed_service_is_started_again_and_counted(drive: Callable[[str], Driven]) -> None:
    driven = drive(SLEEPER)
    wait_for(lambda: driven.unit("a")["state"] == "ready")
    first = driven.unit("a")["pid"]
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: driven.unit("a")["state"] == "ready" and driven.unit("a")["pid"] != first)
    assert driven.unit("a")["restarts"] == 1


def test_a_suspended_service_is_told_of_and_started_again(
    drive: Callable[[str], Driven],
) -> None:
    driven = drive(SLEEPER.replace("environment=env", "environment=env, stop_seconds=1"))
    wait_for(lambda: driven.unit("a")["state"] == "ready")
    first = driven.unit("a")["pid"]
    os.kill(first, signal.SIGSTOP)
    wait_for(lambda: driven.unit("a")["state"] == "unhealthy")
    assert driven.ask(do="status")["state"] == "degraded"
    wait_for(lambda: driven.unit("a")["state"] == "ready" and driven.unit("a")["pid"] != first)
    assert driven.unit("a")["restarts"] == 1
    assert driven.ask(do="status")["state"] == "ready"


def test_a_suspended_child_of_a_service_counts_too(drive: Callable[[str], Driven]) -> None:
    driven = drive(f'[Unit("a", [py, "-c", {FAMILY!r}], environment=env, stop_seconds=1)]')
    wait_for(lambda: driven.unit("a")["state"] == "ready")
    parent = psutil.Process(driven.unit("a")["pid"])
    wait_for(lambda: len(parent.children()) == 2)
    parent.children()[0].suspend()
    wait_for(lambda: driven.unit("a")["restarts"] == 1)


def test_a_service_that_leaves_questions_unanswered_is_started_again(
    drive: Callable[[str], Driven], tmp_path: Path
) -> None:
    well = tmp_path / "well"
    well.touch()
    units = f"environment=env, healthy=Path({str(well)!r}).exists"
    driven = drive(SLEEPER.replace("environment=env", units))
    wait_for(lambda: driven.unit("a")["state"] == "ready")
    well.unlink()
    wait_for(lambda: driven.unit("a")["restarts"] >= 1)
    assert driven.ask(do="status")["state"] == "degraded"
    well.touch()
    wait_for(lambda: driven.unit("a")["state"] == "ready")


def test_who_waits_for_a_hanging_service_is_left_alone(
    drive: Callable[[str], Driven], tmp_path: Path
) -> None:
    well = tmp_path / "well"
    well.touch()
    driven = drive(
        f"""[Unit(n, [py, "-c", "import time; time.sleep(300)"], after=a, environment=env,
            stop_seconds=1, healthy=h)
            for n, a, h in [("base", (), None), ("top", ("base",), Path({str(well)!r}).exists)]]"""
    )
    wait_for(lambda: driven.ask(do="status")["state"] == "ready")
    os.kill(driven.unit("base")["pid"], signal.SIGSTOP)
    wait_for(lambda: driven.unit("base")["state"] == "unhealthy")
    well.unlink()
    wait_for(lambda: driven.unit("base")["restarts"] == 1)
    assert driven.unit("top")["restarts"] == 0
    well.touch()
    wait_for(lambda: driven.ask(do="status")["state"] == "ready")


def test_one_missed_answer_is_no_news_and_three_answers_make_good() -> None:
    health = Health()
    health.note(answered=False)
    assert not health.is_doubtful
    health.note(answered=True)
    health.note(answered=False)
    assert health.is_doubtful
    assert not health.is_hopeless
    assert "2 of the last 3" in health.words()
    for _ in range(3):
        health.note(answered=True)
    assert health.missed == 0


def test_of_two_workers_one_that_hangs_is_found() -> None:
    health = Health()
    for answered in (True, False) * 4:
        health.note(answered=answered)
    assert health.is_hopeless


def test_a_listener_that_says_nothing_or_something_else_does_not_answer(tmp_path: Path) -> None:
    place = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()
        probe = answers(place, b"PING", b"PONG")
        for said, expected in ((b"PONG!", True), (b"PO", False), (b"NO!!", False)):
            thread = threading.Thread(target=reply, args=(listener, said))
            thread.start()
            assert probe() is expected
            thread.join()
    assert not probe()


def reply(listener: socket.socket, said: bytes) -> None:
    client, _ = listener.accept()
    with client:
        client.recv(100)
        client.sendall(said)


def test_a_heartbeat_file_counts_while_it_is_fresh(tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    assert not touched(file, 20)()
    file.touch()
    assert touched(file, 3600)()
    os.utime(file, (1, 1))
    assert not touched(file, 3600)()


def test_a_part_that_is_absent_is_said_and_the_rest_is_ready(
    drive: Callable[[str], Driven],
) -> None:
    driven = drive(
        '[Unit("a", [py, "-c", "import time; time.sleep(300)"], environment=env), '
        'Unit("b", ["None"], environment=env, absent="It is not on PATH. The rest runs.")]'
    )
    wait_for(lambda: driven.ask(do="status")["state"] == "ready")
    assert driven.unit("b")["state"] == "absent"
    assert driven.unit("b")["detail"] == "It is not on PATH. The rest runs."
    assert driven.unit("b")["pid"] is None


def test_a_service_that_keeps_crashing_is_tried_ever_more_rarely(
    drive: Callable[[str], Driven],
) -> None:
    driven = drive('[Unit("a", [py, "-c", "raise SystemExit(3)"], environment=env)]')
    wait_for(lambda: driven.unit("a")["restarts"] >= 3)
    said = ""

    def told() -> bool:
        nonlocal said
        row = driven.unit("a")
        said = row["detail"]
        return bool(row["state"] == "restarting")

    wait_for(told)
    assert "exit code 3" in said
    assert float(said.split("again in ")[1].split(maxsplit=1)[0]) >= 0.2
    assert driven.ask(do="status")["state"] != "ready"


def test_the_family_of_a_crashed_service_is_ended_even_who_fled_its_group(
    drive: Callable[[str], Driven],
) -> None:
    driven = drive(f'[Unit("a", [py, "-c", {FAMILY!r}], environment=env)]')
    wait_for(lambda: driven.unit("a")["state"] == "ready")
    parent = psutil.Process(driven.unit("a")["pid"])
    wait_for(lambda: len(parent.children()) == 2)
    family = parent.children()
    parent.kill()
    wait_for(lambda: not any(p.is_running() for p in family))


def test_a_kill_of_the_supervisor_leaves_nothing_behind(drive: Callable[[str], Driven]) -> None:
    driven = drive(f'[Unit("a", [py, "-c", {FAMILY!r}], environment=env)]')
    wait_for(lambda: driven.unit("a")["state"] == "ready")
    parent = psutil.Process(driven.unit("a")["pid"])
    wait_for(lambda: len(parent.children()) == 2)
    supervisor = driven.ask(do="status")["supervisor"]
    assert psutil.Process(supervisor).ppid() == driven.process.pid
    os.kill(supervisor, signal.SIGKILL)
    assert driven.process.wait(20) == signal.SIGKILL
    assert not driven.processes()


def test_a_kill_of_the_guardian_leaves_nothing_behind(drive: Callable[[str], Driven]) -> None:
    driven = drive(f'[Unit("a", [py, "-c", {FAMILY!r}], environment=env, stop_seconds=1)]')
    wait_for(lambda: driven.unit("a")["state"] == "ready")
    wait_for(lambda: len(psutil.Process(driven.unit("a")["pid"]).children()) == 2)
    driven.process.kill()
    driven.process.wait()
    wait_for(lambda: not driven.processes())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything(drive: Callable[[str], Driven], number: signal.Signals) -> None:
    driven = drive(f'[Unit("a", [py, "-c", {FAMILY!r}], environment=env, stop_seconds=1)]')
    wait_for(lambda: driven.unit("a")["state"] == "ready")
    driven.process.send_signal(number)
    assert driven.process.wait(20) == 0
    assert not driven.processes()


def test_after_a_kill_the_next_start_finds_its_place_free(drive: Callable[[str], Driven]) -> None:
    driven = drive(SLEEPER)
    os.kill(driven.ask(do="status")["supervisor"], signal.SIGKILL)
    driven.process.wait(20)
    assert (driven.folder / "c.sock").exists(), "the stale socket is what this test is about"
    driven.process = driven.start()
    wait_for(lambda: driven.unit("a")["state"] == "ready")


def test_a_second_guardian_of_the_same_home_gives_way(drive: Callable[[str], Driven]) -> None:
    driven = drive(SLEEPER)
    assert driven.start().wait(20) == 75
    assert driven.unit("a")["state"] in {"starting", "ready"}


def test_units_start_after_what_they_stand_on_and_stop_before_it(
    drive: Callable[[str], Driven], tmp_path: Path
) -> None:
    order = tmp_path / "order"
    program = tmp_path / "program.py"
    program.write_text(ORDERED.replace("ORDER", repr(str(order))))
    driven = drive(
        f"""[Unit(n, [py, {str(program)!r}, n], after=a, is_task=n == "task", environment=env,
            ready=lambda n=n: os.path.exists({str(order)!r}) and n in open({str(order)!r}).read())
            for n, a in [("top", ("task",)), ("task", ("base",)), ("base", ())]]"""
    )
    wait_for(lambda: driven.ask(do="status")["state"] == "ready")
    driven.process.terminate()
    driven.process.wait(20)
    assert order.read_text().split("\n")[:-1] == [
        "start base", "start task", "start top", "stop top", "stop base",
    ]  # fmt: skip


def test_what_stands_on_a_failed_task_is_not_started(drive: Callable[[str], Driven]) -> None:
    driven = drive(
        '[Unit("t", [py, "-c", "raise SystemExit(2)"], is_task=True, environment=env),'
        'Unit("a", [py, "-c", "0"], after=("t",), environment=env)]'
    )
    wait_for(lambda: driven.unit("t")["state"] == "failed")
    assert driven.unit("a")["state"] == "waiting"
    assert driven.ask(do="status")["state"] == "degraded"


def test_a_program_that_does_not_exist_is_told(drive: Callable[[str], Driven]) -> None:
    driven = drive('[Unit("t", ["/no/such/program"], is_task=True, environment=env)]')
    wait_for(lambda: driven.unit("t")["state"] == "failed")


def test_restart_starts_one_service_again(drive: Callable[[str], Driven]) -> None:
    driven = drive(SLEEPER)
    wait_for(lambda: driven.unit("a")["state"] == "ready")
    first = driven.unit("a")["pid"]
    assert driven.ask(do="restart", name="a") == {"restarted": "a"}
    wait_for(lambda: driven.unit("a")["state"] == "ready" and driven.unit("a")["pid"] != first)


@pytest.mark.parametrize(
    "request_", [{}, {"do": "fly"}, {"do": "restart", "name": "b"}, {"do": "restart", "name": 1}]
)
def test_what_the_supervisor_does_not_understand_is_refused(
    drive: Callable[[str], Driven], request_: dict[str, Any]
) -> None:
    assert "error" in drive(SLEEPER).ask(**request_)


def test_the_control_socket_is_for_its_owner_only(drive: Callable[[str], Driven]) -> None:
    driven = drive(SLEEPER)
    assert (driven.folder / "c.sock").stat().st_mode & 0o077 == 0


def test_noise_on_the_control_socket_harms_nothing(drive: Callable[[str], Driven]) -> None:
    driven = drive(SLEEPER)
    for noise in (b"", b"\n", b"[1]\n", b"\xff\xfe\n", b"x" * 200_000):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(driven.folder / "c.sock"))
            try:
                client.sendall(noise)
                client.shutdown(socket.SHUT_WR)
                client.recv(1000)
            except OSError:
                continue
    wait_for(lambda: driven.unit("a")["state"] == "ready")


def test_nobody_listening_is_no_answer(tmp_path: Path) -> None:
    assert control.ask(tmp_path / "none.sock", {"do": "status"}) is None
    assert not unix(tmp_path / "none.sock")()
    assert not tcp(1)()
    assert not http(1, "/", "localhost")()
    assert not logged(tmp_path / "none.log", b"ready")()


def test_only_what_was_logged_since_the_start_counts(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("--- ddt: started 1\nready.\n--- ddt: started 2\n")
    assert not logged(log, b"ready.")()
    with log.open("a") as stream:
        stream.write(json.dumps({"event": "ready."}) + "\n")
    assert logged(log, b"ready.")()


def test_a_restart_that_was_asked_for_is_quick_however_often(
    drive: Callable[[str], Driven],
) -> None:
    driven = drive(SLEEPER)
    # As a crash, the twelfth would wait for half a minute, longer than `wait_for` does.
    for _ in range(12):
        wait_for(lambda: driven.unit("a")["state"] == "ready")
        before = driven.unit("a")["pid"]
        assert driven.ask(do="restart", name="a") == {"restarted": "a"}
        wait_for(lambda old=before: driven.unit("a")["pid"] not in {None, old})
