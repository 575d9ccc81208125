"""Starting and stopping the native platform from the command's side."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from ddt import secret_files
from ddt.errors import TroubleError
from ddt.native import control, gateway, postgresql, postgrest
from ddt.native.guardian import ALREADY_RUNS
from ddt.native.ports import metrics_url
from ddt.native.services import folders
from ddt.settings import BACKUP_EVERY, BACKUP_KEEP, WEAK_KEYS, Settings

FREE_BYTES = 500 * 1024 * 1024  # A new cluster, the static files, and room for logs.
START_SECONDS = 240.0
STOP_SECONDS = 90.0
RESTART_SECONDS = 120.0
FIRST_PRIVILEGED_END = 1024
POLL_SECONDS = 0.05


def prepare(settings: Settings) -> list[str]:
    """Make folders, settings and secrets; return the names of the secrets that were new."""
    secret_files.private_folder(settings.home)
    folders(settings)
    made = secret_files.prepare(settings.secrets)
    settings.save()
    postgrest.fetch(settings)
    return made


def check(settings: Settings) -> None:
    """Raise TroubleError, in words, for what would keep the platform from starting."""
    gateway.program()
    check_space(settings.home)
    for variable, port in (
        ("DDT_HTTPS_PORT", settings.https_port),
        ("DDT_HTTP_PORT", settings.http_port),
    ):
        check_port(variable, port)
    check_weak_keys(settings.weak_keys_file)
    if not settings.database_url:
        postgresql.binaries()
        postgresql.identity()
        postgresql.is_initialised(settings.home / "postgresql")


def check_space(home: Path) -> None:
    """Raise TroubleError when the disk has too little room to start on."""
    free = shutil.disk_usage(home).free
    if free < FREE_BYTES:
        raise TroubleError(
            f"The disk of {home} has {free // 1_000_000} MB free, and the platform needs "
            f"{FREE_BYTES // 1_000_000} MB to start. Free some space, or set DDT_HOME to a folder "
            "on another disk. Nothing was changed.",
        )


def check_weak_keys(file: Path | None) -> None:
    """Raise TroubleError when the list of weak keys is not there; PKaKey reads what is in it."""
    if file is not None and not (file.is_file() and os.access(file, os.R_OK)):
        raise TroubleError(
            f"{WEAK_KEYS} names {file}, which is no file that this user can read. Put the list "
            f"there, name another file, or remove the line {WEAK_KEYS} from the settings in "
            "DDT_HOME/config.",
        )


def check_port(variable: str, port: int) -> None:
    """Raise TroubleError when the port is taken (naming by whom) or may not be opened."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except PermissionError:
            raise TroubleError(
                f"Port {port} is below {FIRST_PRIVILEGED_END} and needs root. Set {variable} to a "
                "higher one, or lower net.ipv4.ip_unprivileged_port_start.",
            ) from None
        except OSError:
            raise TroubleError(
                f"Port {port} is taken{listener(port)}. Stop that program, or set {variable} to "
                f"a free port: {variable}={port + 1000 if port < 64000 else port - 1000} ddt up",  # noqa: PLR2004
            ) from None


def listener(port: int) -> str:
    """Return " by NAME (process N)" where the system tells, or nothing."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,):
                if connection.pid is None:
                    return ""
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        return ""
    return ""


def status(settings: Settings) -> dict[str, Any]:
    """Return what `ddt status --json` prints."""
    answer = control.ask(settings.control_socket, {"do": "status"})
    if answer is None:
        answer = {"state": "stopped", "services": [], "tasks": []}
    answer["urls"] = {
        "portal": f"{settings.portal}/",
        "api": f"{settings.portal}/api/v1/",
        "crl": f"{settings.plain}/crl/",
        "ocsp": f"{settings.plain}/ocsp",
        "data": f"{settings.data}/",
        "flows": f"{settings.flows}/",
    }
    # Where Prometheus asks: on the loopback address only, and on no route of the gateway.
    if answer["state"] != "stopped" and (metrics := metrics_url(settings)):
        answer["urls"]["metrics"] = metrics
    return answer


def launch(settings: Settings, *, foreground: bool) -> subprocess.Popen[bytes]:
    """Start the guardian, detached or (in the foreground) bound to this process's life."""
    log = settings.logs / "supervisor.log"
    log.touch(mode=0o600)
    # The schedule is read from the settings again and again: a variable would stand before it.
    kept = {k: v for k, v in os.environ.items() if k not in {BACKUP_EVERY, BACKUP_KEEP}}
    environment = {
        **kept,
        "DDT_HOME": str(settings.home),
        "DDT_DOMAIN": settings.domain,
        "DDT_HTTPS_PORT": str(settings.https_port),
        "DDT_HTTP_PORT": str(settings.http_port),
    }
    prefix = postgresql.launch_prefix(death_signal=signal.SIGTERM) if foreground else []
    with log.open("ab") as stream:
        return subprocess.Popen(  # noqa: S603
            [*prefix, sys.executable, "-m", "ddt.native.guardian"],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env=environment,
            cwd=settings.home,
            start_new_session=True,
        )


def progress(settings: Settings, guardian: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the status until every unit is ready; raises TroubleError when that will not be."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        answer = status(settings)
        yield answer
        if answer["state"] == "ready":
            return
        failed = [u for u in answer["tasks"] + answer["services"] if u["state"] == "failed"]
        if failed:
            stop(settings)
            raise TroubleError(_failure(settings, failed[0]))
        code = guardian.poll()
        if code == ALREADY_RUNS:
            raise TroubleError(
                f"Another 'ddt up' works in {settings.home} at this moment. Wait for it to end, "
                "then see 'ddt status'.",
            )
        if code is not None:
            raise TroubleError(
                "The supervisor ended while it started the platform: "
                f"{last_lines(settings.logs / 'supervisor.log', 3)}",
            )
        if time.monotonic() > deadline:
            waiting = [u["name"] for u in answer["services"] if u["state"] != "ready"]
            stop(settings)
            raise TroubleError(
                f"The platform was not ready after {START_SECONDS:.0f} s; still waiting for "
                f"{', '.join(waiting)}. It was stopped; 'ddt logs {waiting[0]}' tells more.",
            )
        time.sleep(POLL_SECONDS)


def _failure(settings: Settings, unit: dict[str, Any]) -> str:
    said = last_lines(settings.logs / f"{unit['name']}.log", 3)
    return (
        f"'{unit['name']}' failed: {unit['detail']}. Its last words: {said}\n"
        "The platform was stopped and nothing is lost; mend the cause and run 'ddt up' again."
    )


def last_lines(file: Path, count: int) -> str:
    """Return the last lines of a log that say something."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - 16384))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return "nothing was logged."
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "\n  ".join(lines[-count:]) or "nothing was logged."


def restart(settings: Settings, service: str) -> None:
    """Restart one service of the running platform and wait until another process is ready.

    Raises TroubleError when there is no such service, or it does not come back.
    """
    before = status(settings)
    if before["state"] == "stopped":
        raise TroubleError("The platform does not run. Start it with 'ddt up'.")
    there = {u["name"]: u for u in before["services"]}
    if service not in there:
        raise TroubleError(f"There is no service '{service}'. There are: {', '.join(there)}.")
    asked = {"do": "restart", "name": service}
    answer = control.ask(settings.control_socket, asked, timeout_seconds=RESTART_SECONDS) or {}
    # One that waits for its next start is on its way already.
    if "error" in answer and there[service]["state"] not in {"waiting", "restarting"}:
        raise TroubleError(str(answer["error"]))
    deadline = time.monotonic() + RESTART_SECONDS
    while time.monotonic() < deadline:
        rows = {u["name"]: u for u in status(settings)["services"]}
        row = rows.get(service, {})
        if row.get("state") == "ready" and row["pid"] != there[service]["pid"]:
            return
        time.sleep(POLL_SECONDS)
    raise TroubleError(f"{service} is not ready again. 'ddt logs {service}' tells more.")


def stop(settings: Settings, tell: Callable[[str], None] = lambda _: None) -> bool:
    """Stop the platform and wait until no process is left; False when it did not run."""
    answer = control.ask(settings.control_socket, {"do": "stop"})
    if answer is None:
        return False
    deadline = time.monotonic() + STOP_SECONDS
    waited = [pid for pid in (answer["pid"], answer["parent"]) if pid > 1]
    while any(_lives(pid) for pid in waited):
        if time.monotonic() > deadline:
            raise TroubleError(
                f"The platform did not stop within {STOP_SECONDS:.0f} s. 'ddt status' shows what "
                f"is left; its supervisor is process {answer['pid']}.",
            )
        left = control.ask(settings.control_socket, {"do": "status"})
        if left is not None:
            tell(", ".join(u["name"] for u in left["services"] if u["state"] != "stopped"))
        time.sleep(POLL_SECONDS)
    return True


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
