"""The worker: timers and service tasks, looked for in turn until told to stop."""

import logging
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from django.db import Error, close_old_connections, connection

from koolflows.services import Services

logger = logging.getLogger(__name__)

IDLE_SECONDS: Final = 1.0
TROUBLE_SECONDS: Final = 5.0


def run_until_stopped(services: Services, *, beat: Callable[[], None]) -> None:
    """Work until SIGTERM or SIGINT; what is begun is finished first.

    `beat` is called again and again while it lives, between any two things that it does.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logger.info("The worker is ready.")
    while not stop.is_set():
        stop.wait(work_once(services, now=datetime.now(tz=UTC), beat=beat))
    logger.info("The worker has stopped.")


def work_once(services: Services, *, now: datetime, beat: Callable[[], None]) -> float:
    """Look for what is due, do it, and return how long to wait before the next look."""
    beat()
    close_old_connections()
    try:
        done = services.fire_due(now=now) + services.do_due_jobs(now=now, beat=beat)
    except Error:
        logger.exception("The database does not answer; the worker waits.")
        connection.close()
        return TROUBLE_SECONDS
    except Exception:
        # One broken process must not stop the others.
        logger.exception("A look at what is due failed.")
        return TROUBLE_SECONDS
    return 0.0 if done else IDLE_SECONDS
