"""The guardian: the supervisor's small parent, which outlives it only to clear up.

When the supervisor is killed, the kernel tells its direct children; their descendants fall to the
guardian, since it adopts orphans, and it ends every one. When the guardian is killed, the
supervisor is told by the kernel and stops in order. It holds the home's lock for as long as
anything may run.
"""

import contextlib
import errno
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ddt.native.launch import adopt_orphans, die_with_parent

GRACE_SECONDS = 5.0
ALREADY_RUNS = 75  # EX_TEMPFAIL of sysexits.h.


def guard(run: Callable[[], None], lock: Path) -> int:
    """Run `run` in a child, wait for its end, and end all that it leaves; return its exit code."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            return ALREADY_RUNS
        raise
    adopt_orphans()
    guardian = os.getpid()
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    # A signal between the fork and the handlers would be lost or kill; it waits instead.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    supervisor = os.fork()
    if supervisor == 0:
        die_with_parent(signal.SIGTERM)
        if os.getppid() != guardian:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        code = 1
        try:
            run()
            code = 0
        except BaseException:  # noqa: BLE001  # A process edge: told in the log, then the child ends.
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stderr.flush()
            os._exit(code)
    for number in signals:
        signal.signal(number, lambda got, _: _send(supervisor, got))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    code = _wait_for(supervisor)
    _end_all_descendants()
    return code


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _wait_for(supervisor: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == supervisor:
            return abs(os.waitstatus_to_exitcode(status))


def _end_all_descendants() -> None:
    deadline = time.monotonic() + GRACE_SECONDS
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        children = _descendants()
        if not children:
            return
        if time.monotonic() > deadline:
            for pid in children:
                _send(pid, signal.SIGKILL)
        time.sleep(0.05)


def _descendants() -> list[int]:
    import psutil  # noqa: PLC0415  # Needed only after a crash; its memory is saved until then.

    return [child.pid for child in psutil.Process().children(recursive=True)]


def main() -> int:
    """Guard the platform whose home the environment names."""

    def run() -> None:
        import asyncio  # noqa: PLC0415  # Only the child needs these.

        from ddt import settings  # noqa: PLC0415
        from ddt.native.chores import chores  # noqa: PLC0415
        from ddt.native.services import units  # noqa: PLC0415
        from ddt.native.supervisor import Supervisor  # noqa: PLC0415

        chosen = settings.load()

        async def supervise() -> None:
            await Supervisor(
                units(chosen),
                logs=chosen.logs,
                control_socket=chosen.control_socket,
                chores=chores(chosen),
            ).run()

        asyncio.run(supervise())

    return guard(run, Path(os.environ["DDT_HOME"]) / "lock")


if __name__ == "__main__":
    sys.exit(main())
