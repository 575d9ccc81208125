"""The supervisor: starts units in order, restarts what crashed, and leaves nothing behind.

Each child has a session and process group of its own and dies with the supervisor
(`launch`). What a crashed child leaves is ended before it is started again. The guardian, this
process's parent, ends what a `kill -9` of the supervisor leaves.
"""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddt.errors import TroubleError
from ddt.native.control import serve
from ddt.native.health import CHECK_SECONDS, Health, is_suspended
from ddt.native.launch import adopt_orphans
from ddt.native.postgresql import launch_prefix
from ddt.native.units import START_LINE, Chore, Unit

BACK_OFF_FIRST = 0.2
BACK_OFF_MOST = 30.0
STEADY_SECONDS = 30.0  # A service that was ready for so long has earned a quick restart.
LOG_BYTES = 10 * 1024 * 1024
LOG_CHECK_SECONDS = 30.0
PROBE_SECONDS = 0.05
CHORE_SECONDS = 20.0


@dataclass
class Running:
    """What the supervisor knows of one unit at this moment."""

    unit: Unit
    # absent waiting starting ready unhealthy done restarting failed stopping stopped
    state: str = "waiting"
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    detail: str = ""
    ended_for: str = ""  # Why the supervisor itself ended it.
    is_asked: bool = False  # Somebody wants the next restart: it is no sign of trouble.

    def row(self) -> dict[str, Any]:
        """Return the row of `ddt status`."""
        return {
            "name": self.unit.name,
            "state": self.state,
            "pid": self.process.pid if self.process else None,
            "restarts": self.restarts,
            "detail": self.detail,
        }


class Supervisor:
    """Runs the units until it is told to stop."""

    def __init__(
        self,
        units: Sequence[Unit],
        *,
        logs: Path,
        control_socket: Path,
        chores: Sequence[Chore] = (),
    ) -> None:
        self.logs = logs
        self.control_socket = control_socket
        self.units = {unit.name: Running(unit) for unit in units}
        self.chores = [(chore, Running(chore.unit)) for chore in chores]
        self.exits: dict[int, asyncio.Future[int]] = {}
        self.stopping = asyncio.Event()
        self.changed = asyncio.Condition()
        self.was_ready = False

    async def run(self) -> None:
        """Start everything, watch it until a signal or a `stop` arrives, then stop everything."""
        adopt_orphans()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.stopping.set)
        server = await serve(self.control_socket, self.answer)
        watchers = [asyncio.create_task(self._guarded(each)) for each in self.units.values()]
        watchers += [asyncio.create_task(self._do(*chore)) for chore in self.chores]
        keeper = asyncio.create_task(self._keep_logs_small())
        await self.stopping.wait()
        keeper.cancel()
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(keeper, *watchers, return_exceptions=True)
        await self._stop_everything()
        server.close()
        self.control_socket.unlink(missing_ok=True)

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Obey one request of the control socket: status, stop, or restart with a name."""
        match request:
            case {"do": "status"}:
                return self.status()
            case {"do": "stop"}:
                self.stopping.set()
                return {"pid": os.getpid(), "parent": os.getppid()}
            case {"do": "restart", "name": str(name)} if name in self.units:
                running = self.units[name]
                if running.unit.is_task or running.process is None:
                    return {"error": f"'{name}' is not a running service."}
                running.detail = "restart asked for"
                running.is_asked = True
                await self._end(running)
                return {"restarted": name}
            case _:
                return {"error": f"There is no such service or command: {request}."}

    def status(self) -> dict[str, Any]:
        """Return the platform's state and a row for each service and task."""
        services = [u.row() for u in self.units.values() if not u.unit.is_task]
        tasks = [u.row() for u in self.units.values() if u.unit.is_task]
        good = all(u.state in {"ready", "done", "absent"} for u in self.units.values())
        self.was_ready |= good
        failed = any(u.state == "failed" for u in self.units.values())
        state = "ready" if good else "degraded" if self.was_ready or failed else "starting"
        return {"state": state, "services": services, "tasks": tasks, "supervisor": os.getpid()}

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            # A pid that is not ours is an orphan that a crashed child left to us.
            if (known := self.exits.pop(pid, None)) is not None and not known.done():
                known.set_result(code)

    async def _guarded(self, running: Running) -> None:
        if running.unit.absent:
            await self._announce(running, "absent", running.unit.absent)
            return
        try:
            await self._watch(running)
        except Exception as error:  # A unit's edge: one that fails must be seen, not vanish.
            logging.getLogger(__name__).exception("unit %s", running.unit.name)
            await self._failed(running, f"the supervisor could not watch it: {error}")

    async def _watch(self, running: Running) -> None:  # noqa: C901  # One life, told once.
        unit = running.unit
        await self._wait_for(unit.after)
        if unit.needed and not await asyncio.to_thread(unit.needed):
            await self._announce(running, "done")
            return
        delay = BACK_OFF_FIRST
        while True:
            self._set(running, "starting")
            try:
                if unit.prepare:
                    await asyncio.to_thread(unit.prepare)
                exited = self._spawn(running)
            except (OSError, TroubleError) as error:
                await self._failed(running, f"it could not be started: {error}")
                return
            ready_at = None
            if unit.is_task:
                code = await asyncio.shield(exited)
            else:
                if await self._becomes_ready(running, exited):
                    ready_at = time.monotonic()
                    await self._announce(running, "ready")
                    await self._attend(running, exited)
                code = await asyncio.shield(exited)
            self._forget(running)
            if unit.is_task:
                if code == 0:
                    if unit.done:
                        unit.done()
                    await self._announce(running, "done")
                else:
                    await self._failed(running, self._words(code))
                return
            was_steady = ready_at is not None and time.monotonic() - ready_at >= STEADY_SECONDS
            if was_steady or running.is_asked:
                running.is_asked = False
                delay = BACK_OFF_FIRST
            running.restarts += 1
            reason = running.ended_for or self._words(code)
            running.ended_for = ""
            self._set(running, "restarting", f"{reason}; again in {delay:.1f} s")
            await asyncio.sleep(delay)
            delay = min(delay * 2, BACK_OFF_MOST)

    async def _do(self, chore: Chore, running: Running) -> None:
        """Run the chore each time that it is due, once what it stands on is ready."""
        await self._wait_for(chore.unit.after)
        while True:
            try:
                if await asyncio.to_thread(chore.is_due):
                    exited = self._spawn(running)
                    code = await asyncio.shield(exited)
                    self._forget(running)
                    if code != 0:
                        logging.getLogger(__name__).error(
                            "%s: %s", chore.unit.name, self._words(code)
                        )
            except Exception:  # A chore's edge: the next time may go better, and this one is told.
                logging.getLogger(__name__).exception("chore %s", chore.unit.name)
            await asyncio.sleep(CHORE_SECONDS)

    async def _wait_for(self, names: Sequence[str]) -> None:
        async with self.changed:
            await self.changed.wait_for(
                lambda: all(self.units[name].state in {"ready", "done"} for name in names)
            )

    def _spawn(self, running: Running) -> asyncio.Future[int]:
        unit = running.unit
        self.logs.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        log = os.open(self.logs / f"{unit.name}.log", flags, 0o600)
        try:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            os.write(log, START_LINE + stamp.encode() + b"\n")
            # Death takes the quick way for PostgreSQL too: SIGINT ends sessions, SIGTERM waits.
            prefix = launch_prefix(death_signal=unit.stop_signal, identity=unit.identity)
            running.process = subprocess.Popen(  # noqa: S603
                [*prefix, *unit.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(unit.environment),
                start_new_session=True,
            )
        finally:
            os.close(log)
        exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.exits[running.process.pid] = exited
        return exited

    async def _becomes_ready(self, running: Running, exited: asyncio.Future[int]) -> bool:
        probe = running.unit.ready
        deadline = time.monotonic() + running.unit.start_seconds
        while not exited.done():
            if probe is None or await asyncio.to_thread(probe):
                return not exited.done()
            if time.monotonic() > deadline:
                running.detail = f"not ready after {running.unit.start_seconds:.0f} s"
                await self._end(running)
                return False
            await asyncio.wait([exited], timeout=PROBE_SECONDS)
        return False

    async def _attend(self, running: Running, exited: asyncio.Future[int]) -> None:
        """Ask the service for its health until it ends; end it when it hangs."""
        health = Health()
        while True:
            await asyncio.wait([exited], timeout=CHECK_SECONDS)
            if exited.done() or running.process is None:
                return
            answered = await asyncio.to_thread(_is_well, running.unit, running.process.pid)
            if exited.done():
                return
            if not answered and not self._stands(running.unit):
                # It may wait for what it stands on, which is mended first.
                health.forget()
                continue
            health.note(answered=answered)
            if health.is_hopeless:
                running.ended_for = "it was ended because it no longer answered"
                logging.getLogger(__name__).warning(
                    "unit %s hangs: %s", running.unit.name, health.words()
                )
                self._set(running, "unhealthy", running.ended_for)
                await self._end(running)
                return
            if health.is_doubtful:
                self._set(running, "unhealthy", health.words())
            elif running.state == "unhealthy" and not health.missed:
                await self._announce(running, "ready")

    def _stands(self, unit: Unit) -> bool:
        """Tell whether all that the unit stands on is well."""
        return all(self.units[n].state in {"ready", "done"} for n in self._foundations(unit))

    async def _end(self, running: Running) -> None:
        """Ask the child to stop, wait, then end its whole group."""
        process = running.process
        if process is None:
            return
        exited = self.exits.get(process.pid)
        if exited is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(running.unit.stop_signal)
                # A suspended group cannot obey.
                os.killpg(process.pid, signal.SIGCONT)
            await asyncio.wait([exited], timeout=running.unit.stop_seconds)
            if not exited.done():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await asyncio.wait([exited], timeout=5)

    def _forget(self, running: Running) -> None:
        """End what the child left behind: its group, and whoever fled the group to us."""
        if running.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(running.process.pid, signal.SIGKILL)
            running.process.returncode = 0  # Reaped in _reap; subprocess must not wait for it.
            running.process = None
        for pid in _children():
            if pid not in self.exits:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    async def _stop_everything(self) -> None:
        """Stop the units, those that others stand on last."""
        everything = [*self.units.values(), *(running for _, running in self.chores)]
        left = [u for u in everything if u.process is not None]
        while left:
            needed = {name for u in left for name in self._foundations(u.unit)}
            top = [u for u in left if u.unit.name not in needed]
            for running in top:
                running.state = "stopping"
            await asyncio.gather(*(self._end(u) for u in top))
            for running in top:
                self._forget(running)
                running.state = "stopped"
            left = [u for u in left if u not in top]

    def _foundations(self, unit: Unit) -> set[str]:
        found: set[str] = set()
        for name in unit.after:
            found |= {name} | self._foundations(self.units[name].unit)
        return found

    def _set(self, running: Running, state: str, detail: str = "") -> None:
        running.state, running.detail = state, detail

    async def _announce(self, running: Running, state: str, detail: str = "") -> None:
        async with self.changed:
            self._set(running, state, detail)
            self.status()
            self.changed.notify_all()

    async def _failed(self, running: Running, reason: str) -> None:
        async with self.changed:
            self._set(running, "failed", f"{reason}; 'ddt logs {running.unit.name}' tells more")

    @staticmethod
    def _words(code: int) -> str:
        if code >= 0:
            return f"it ended with exit code {code}"
        return f"it was ended by {signal.Signals(-code).name}"

    async def _keep_logs_small(self) -> None:
        while True:
            for log in self.logs.glob("*.log"):
                if log.stat().st_size > LOG_BYTES:
                    # Children append, so the file may be cut under them; a line may be lost.
                    older = log.with_suffix(".log.1")
                    older.touch(mode=0o600)
                    older.write_bytes(log.read_bytes())
                    os.truncate(log, 0)
            await asyncio.sleep(LOG_CHECK_SECONDS)


def _is_well(unit: Unit, pid: int) -> bool:
    return not is_suspended(pid) and (unit.healthy is None or unit.healthy())


def _children() -> list[int]:
    """Return the pids of this process's children, adopted ones among them (proc(5))."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(word) for word in (task / "children").read_text().split()]
    return found
