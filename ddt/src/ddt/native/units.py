"""What the supervisor runs: services that stay, tasks that end, and when each is ready."""

import os
import re
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Probe = Callable[[], bool]


@dataclass(frozen=True)
class Unit:
    """One program to run.

    `after` names the units that must be ready (services) or done (tasks) first. A task may name
    a `needed` function: False means that there is nothing to do this time. Times are in seconds.
    """

    name: str
    command: list[str]
    after: tuple[str, ...] = ()
    is_task: bool = False
    ready: Probe | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    identity: tuple[str, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    start_seconds: float = 60.0
    prepare: Callable[[], None] | None = None
    needed: Callable[[], bool] | None = None
    done: Callable[[], None] | None = None


@dataclass(frozen=True)
class Chore:
    """A task that the running platform does again and again, when `is_due` says so."""

    unit: Unit
    is_due: Callable[[], bool]


def tcp(port: int) -> Probe:
    """Return a probe that is satisfied when somebody listens on the loopback port."""

    def listens() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    return listens


def unix(path: Path) -> Probe:
    """Return a probe that is satisfied when somebody listens on the Unix socket."""

    def listens() -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(os.fspath(path))
            except OSError:
                return False
        return True

    return listens


def http(port: int, path: str, host: str) -> Probe:
    """Return a probe that is satisfied when the path answers with 200 on the loopback port."""
    request = f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode()

    def answers() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as client:
                client.settimeout(5)
                client.sendall(request)
                return re.match(rb"HTTP/1\.[01] 200 ", client.recv(64)) is not None
        except OSError:
            return False

    return answers


def logged(file: Path, text: bytes) -> Probe:
    """Return a probe that is satisfied when the log, since its last start line, holds the text."""

    def said() -> bool:
        try:
            with file.open("rb") as log:
                log.seek(max(0, file.stat().st_size - 65536))
                return text in log.read().rpartition(START_LINE)[2]
        except OSError:
            return False

    return said


START_LINE = b"--- ddt: started "
