"""Starting, stopping and watching the containers; states in the words of the native runner."""

import subprocess
import time
from collections.abc import Iterator
from typing import IO, Any

from ddt.containers import preparation, project
from ddt.containers.engine import Compose, last_words
from ddt.containers.project import Project
from ddt.errors import TroubleError

START_SECONDS = 900.0
STOP_SECONDS = 300.0
POLL_SECONDS = 1.0
RESTORING = ".restoring"
"""In the folder of backups while a restore fills the volumes: nothing starts on a half."""

_DONE = "exited"


def check(chosen: Project) -> None:
    """Raise TroubleError, in words, for what would keep the containers from starting."""
    for name, file in project.secret_files(chosen.folder).items():
        preparation.check_secret(name, file)
    if (chosen.backups / RESTORING).exists():
        raise TroubleError(
            "A restore was cut off, and the volumes hold a part of a platform. Do it again: "
            "ddt restore --docker FILE",
        )
    if not (chosen.folder / ".env").is_file():
        raise TroubleError(f"{chosen.folder / '.env'} is missing. Run: ddt init --docker")


def launch(compose: Compose, log: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start `docker compose up` and return at once; it ends when every service is healthy."""
    return subprocess.Popen(  # noqa: S603
        compose.words("up", "--detach", "--wait", "--quiet-pull"),
        cwd=compose.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
    )  # fmt: skip


def progress(compose: Compose, starting: "subprocess.Popen[bytes]") -> Iterator[dict[str, Any]]:
    """Yield the status until `up` has ended; one that failed is the caller's to tell."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        code = starting.poll()
        yield status(compose)
        if code is not None:
            return
        if time.monotonic() > deadline:
            starting.terminate()
            starting.wait()
            return
        time.sleep(POLL_SECONDS)


def failure(answer: dict[str, Any], said: bytes) -> TroubleError:
    """Return what to tell when `docker compose up` did not end well."""
    units = answer["services"] + answer["tasks"]
    ill = [u for u in units if u["state"] in {"failed", "restarting"}]
    ill = ill or [u for u in units if u["state"] not in {"ready", "done"}]
    names = ", ".join(f"{u['name']} ({u['detail'] or u['state']})" for u in ill)
    hint = f"'docker compose logs {ill[0]['name']}' tells more." if ill else ""
    return TroubleError(
        f"The containers did not start: {last_words(said)}. "
        + (f"Not well: {names}. {hint} " if names else "")
        + "Nothing is lost; mend the cause and run 'ddt up --docker' again.",
    )


def status(compose: Compose) -> dict[str, Any]:
    """Return the platform's state and a row for each service and one-shot, as the native one."""
    known = project.services(compose.folder)
    rows = {row.get("Service", ""): row for row in compose.containers()}
    wanted = [
        name
        for name, entry in known.items()
        if name in rows or not (isinstance(entry, dict) and entry.get("profiles"))
    ]
    one_shots = {name for name in wanted if _is_one_shot(known, name)}
    described = [_row(name, rows.get(name), is_task=name in one_shots) for name in wanted]
    services = [row for row in described if row["name"] not in one_shots]
    tasks = [row for row in described if row["name"] in one_shots]
    if not rows or all(row["state"] == "stopped" for row in services):
        state = "stopped"
    elif all(row["state"] in {"ready", "done"} for row in described):
        state = "ready"
    elif any(row["state"] in {"failed", "stopped", "restarting"} for row in services):
        state = "degraded"
    else:
        state = "starting"
    return {"state": state, "services": services, "tasks": tasks}


def _is_one_shot(known: dict[str, Any], name: str) -> bool:
    """Tell whether another service waits for this one's end; a one-shot is never restarted."""
    entry = known[name] if isinstance(known[name], dict) else {}
    waited = any(
        isinstance(other, dict)
        and isinstance(other.get("depends_on"), dict)
        and isinstance(other["depends_on"].get(name), dict)
        and other["depends_on"][name].get("condition") == "service_completed_successfully"
        for other in known.values()
    )
    return waited or str(entry.get("restart", "")) in {"no", "False"}


def _row(name: str, row: dict[str, Any] | None, *, is_task: bool) -> dict[str, Any]:
    if row is None:
        return {"name": name, "state": "stopped", "pid": None, "restarts": 0, "detail": ""}
    state, health = str(row.get("State", "")), str(row.get("Health", ""))
    code = int(row.get("ExitCode") or 0)
    if state == "running":
        word = {"": "ready", "healthy": "ready", "starting": "starting"}.get(health, "failed")
    elif state == _DONE and is_task:
        word = "done" if code == 0 else "failed"
    elif state == _DONE:
        word = "stopped" if code in {0, 137, 143} else "failed"
    else:
        word = {"created": "waiting", "restarting": "restarting"}.get(state, "failed")
    detail = str(row.get("Status", "")) if word not in {"ready", "done"} else ""
    if word == "failed" and health == "unhealthy":
        detail = "its health check fails"
    return {"name": name, "state": word, "pid": None, "restarts": 0, "detail": detail}


def stop(compose: Compose) -> bool:
    """Stop and remove the containers, keep the volumes; False when none were there."""
    if not compose.containers():
        return False
    compose.run("down", timeout=STOP_SECONDS)
    return True
