"""What is counted of background tasks, and the request's id on its way to them.

Connected to Celery's signals when `config.celery` imports this module.
"""

import time
from pathlib import Path
from typing import Any, Final

from celery.signals import (
    beat_init,
    before_task_publish,
    heartbeat_sent,
    task_postrun,
    task_prerun,
    task_revoked,
)
from prometheus_client import Counter, Gauge, Histogram

from pkakey.config import request_ids

HEADER: Final = "request_id"
"""The message's header beside Celery's own."""

TASKS = Histogram(
    "pkakey_task_duration_seconds",
    "Time that a background task took, and how it ended (Celery's state in lower case).",
    ["task", "outcome"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 300.0),
)
EXPIRED = Counter(
    "pkakey_tasks_expired", "Tasks that found no worker before their next turn came.", ["task"]
)
LAST_SUCCESS = Gauge(
    "pkakey_task_last_success_timestamp_seconds",
    "When a task last ended well, in seconds since 1970.",
    ["task"],
    multiprocess_mode="mostrecent",
)
LAST_BEAT = Gauge(
    "pkakey_beat_last_timestamp_seconds",
    "When the scheduler last sent a task, in seconds since 1970.",
    multiprocess_mode="mostrecent",
)

_began: dict[str, float] = {}


class _Process:
    is_beat = False
    heartbeat: Path | None = None


def beat_into(file: Path | None) -> None:
    """Touch this file from now on whenever this process shows that it lives; None: no file."""
    _Process.heartbeat = file


@beat_init.connect
def note_beat(**_: object) -> None:
    """Note that this process is the scheduler."""
    _Process.is_beat = True


@before_task_publish.connect
def send_request_id(*, headers: dict[str, Any], **_: object) -> None:
    """Put the id of the request at work into the message, so that the worker's log has it."""
    if request_id := request_ids.current():
        headers[HEADER] = request_id
    if _Process.is_beat:
        LAST_BEAT.set_to_current_time()
        touch_heartbeat()


@heartbeat_sent.connect
def touch_heartbeat(**_: object) -> None:
    """Touch the file by which the supervisor sees that this process does not hang."""
    if _Process.heartbeat is not None:
        _Process.heartbeat.touch(mode=0o600)


@task_prerun.connect
def begin(*, task_id: str, task: Any, **_: object) -> None:  # noqa: ANN401  # Celery's task.
    """Take the id that came with the message, or make one for this run."""
    request_ids.begin(getattr(task.request, HEADER, None))
    _began[task_id] = time.perf_counter()


@task_postrun.connect
def end(*, task_id: str, task: Any, state: str | None = None, **_: object) -> None:  # noqa: ANN401
    """Count the run."""
    name = _short(task.name)
    seconds = time.perf_counter() - _began.pop(task_id, time.perf_counter())
    TASKS.labels(name, (state or "unknown").lower()).observe(seconds)
    if state == "SUCCESS":
        LAST_SUCCESS.labels(name).set_to_current_time()
    request_ids.end()


@task_revoked.connect
def count_expired(*, request: Any, expired: bool, **_: object) -> None:  # noqa: ANN401
    """Count a task that nobody had time for."""
    if expired:
        EXPIRED.labels(_short(request.name or request.task)).inc()


def _short(name: str) -> str:
    return name.rpartition(".")[2]
