"""What the supervisor runs: services that stay, tasks that end, and when each is ready."""

import os
import re
import signal
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Probe = Callable[[], bool]
_ANSWER_SECONDS = 5.0
# Asks whether TLS is spoken (PostgreSQL's SSLRequest); a server that lives says N and logs nothing.
SSL_REQUEST = struct.pack(">ii", 8, 80877103)
_HEALTH = b'{"op":"health"}'
# One frame of the signer's protocol: magic, length of the header, length of the attachment.
SIGNER_HEALTH = struct.pack(">4sHI", b"DDS1", len(_HEALTH), 0) + _HEALTH


@dataclass(frozen=True)
class Unit:
    """One program to run.

    `after` names the units that must be ready (services) or done (tasks) first. A task may name
    a `needed` function: False means that there is nothing to do this time. `healthy` is asked
    again and again of a service that was ready. Times are in seconds.
    """

    name: str
    command: list[str]
    after: tuple[str, ...] = ()
    is_task: bool = False
    ready: Probe | None = None
    healthy: Probe | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    identity: tuple[str, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    start_seconds: float = 60.0
    prepare: Callable[[], None] | None = None
    needed: Callable[[], bool] | None = None
    done: Callable[[], None] | None = None
    # Why this platform runs without it; nothing else may stand on such a unit.
    absent: str = ""


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


def answers(address: Path | int, question: bytes, start: bytes) -> Probe:
    """Return a probe that is satisfied when the question is answered with octets that begin so.

    The address is a Unix socket or a loopback port. The kernel takes connections for a process
    that hangs, so a connection alone says nothing of its health.
    """

    def does() -> bool:
        family = socket.AF_INET if isinstance(address, int) else socket.AF_UNIX
        place = ("127.0.0.1", address) if isinstance(address, int) else os.fspath(address)
        with socket.socket(family) as client:
            client.settimeout(_ANSWER_SECONDS)
            try:
                client.connect(place)
                client.sendall(question)
                return client.recv(len(start), socket.MSG_WAITALL) == start
            except OSError:
                return False

    return does


def touched(file: Path, seconds: float) -> Probe:
    """Return a probe that is satisfied when the file was touched in the last so many seconds."""

    def was() -> bool:
        try:
            return time.time() - file.stat().st_mtime < seconds
        except OSError:
            return False

    return was


def http(port: int, path: str, host: str) -> Probe:
    """Return a probe that is satisfied when the path answers with 200 on the loopback port."""
    request = f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode()

    def answers_well() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as client:
                client.settimeout(5)
                client.sendall(request)
                return re.match(rb"HTTP/1\.[01] 200 ", client.recv(64)) is not None
        except OSError:
            return False

    return answers_well


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
