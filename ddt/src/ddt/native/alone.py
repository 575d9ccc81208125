"""Runs a few units of a home for a while, without its supervisor; the home's lock keeps others out.

For what is done to a platform that stands still: reading its database, restoring it, the drill.
"""

import contextlib
import errno
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from ddt.errors import TroubleError
from ddt.native.launch import REFUSED
from ddt.native.postgresql import launch_prefix
from ddt.native.services import folders, units
from ddt.native.start import last_lines
from ddt.native.units import Unit
from ddt.settings import Settings

POLL_SECONDS = 0.05


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Hold the home's lock; raises TroubleError when the platform runs or is being started."""
    descriptor = os.open(settings.home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            raise TroubleError(
                f"The platform in {settings.home} runs. Stop it first: ddt down",
            ) from None
        raise
    finally:
        os.close(descriptor)


@contextmanager
def running(settings: Settings, names: Sequence[str]) -> Iterator[None]:
    """Start these units in this order, each when the one before is ready; stop them at the end.

    A task among them is run to its end. Raises TroubleError when one fails.
    """
    folders(settings)
    known = {unit.name: unit for unit in units(settings)}
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(_one(settings, known[name]))
        yield


@contextmanager
def _one(settings: Settings, unit: Unit) -> Iterator[None]:
    if unit.prepare:
        unit.prepare()
    prefix = launch_prefix(death_signal=unit.stop_signal, identity=unit.identity)
    log = settings.logs / f"{unit.name}.log"
    log.touch(mode=0o600)
    with log.open("ab") as stream:
        process = subprocess.Popen(  # noqa: S603
            [*prefix, *unit.command], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
            env=dict(unit.environment), start_new_session=True,
        )  # fmt: skip
    try:
        _wait(settings, unit, process)
        yield
    finally:
        _stop(unit, process)


def _wait(settings: Settings, unit: Unit, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + unit.start_seconds
    while True:
        code = process.poll()
        if code == 0 and unit.is_task:
            return
        if code is None and not unit.is_task and (unit.ready is None or unit.ready()):
            return
        if code is not None or time.monotonic() > deadline:
            what = "was refused its identity" if code == REFUSED else "did not start"
            said = last_lines(settings.logs / f"{unit.name}.log", 3)
            raise TroubleError(f"'{unit.name}' {what}. Its last words: {said}")
        time.sleep(POLL_SECONDS)


def _stop(unit: Unit, process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(unit.stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(unit.stop_seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
