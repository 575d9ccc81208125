"""What the running platform does by itself from time to time, beside PKaKey's own beat."""

import signal
import sys

from ddt.backup.schedule import Timer
from ddt.native import environments
from ddt.native.units import Chore, Unit
from ddt.settings import Settings, load


def chores(settings: Settings) -> list[Chore]:
    """Return what the running platform does by itself from time to time."""
    if settings.database_url:
        return []  # Its own tools back it up, on their own schedule.
    backup = Unit(
        "backup",
        [sys.executable, "-m", "ddt", "backup", "--scheduled"],
        after=("postgresql", "bootstrap"),
        is_task=True,
        environment={**environments.plain(settings), "COLUMNS": "160"},
        stop_signal=signal.SIGINT,  # It then takes away what is half made.
    )
    return [Chore(backup, Timer(load).is_due)]
