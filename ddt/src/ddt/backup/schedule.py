"""When the running platform makes a backup by itself, and what it keeps."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ddt.backup import retention
from ddt.errors import TroubleError
from ddt.settings import Settings

RETRY = timedelta(minutes=10)
"""How long a backup that failed waits for the next try; a full disk stays full for a while."""

SHORTEST = timedelta(minutes=10)
LONGEST = timedelta(days=366)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class Schedule:
    """A backup each `every`; then only what `keep` (see `retention`) says is kept."""

    every: timedelta
    keep: str

    def is_due(self, there: Iterable[datetime], now: datetime) -> bool:
        """Tell whether no backup was made in the last `every`.

        One from the future was made under a clock that was wrong, and says nothing.
        """
        return not any(now - self.every < moment <= now for moment in there)

    def due_at(self, there: Iterable[datetime], now: datetime) -> datetime:
        """Return when the next backup is due: now, or later."""
        passed = [moment for moment in there if moment <= now]
        return max(now, max(passed) + self.every) if passed else now


def of(settings: Settings) -> Schedule | None:
    """Return the schedule in the settings, or None; raises TroubleError for a damaged one."""
    if not settings.backup_every:
        return None
    retention.parse(settings.backup_keep)
    return Schedule(every(settings.backup_every), settings.backup_keep)


def every(text: str) -> timedelta:
    """Return the time that `1d`, `12h`, `30m` or `1w` means; raises TroubleError otherwise."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})([mhdw])", text.strip())
    span = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta(0)
    if not SHORTEST <= span <= LONGEST:
        raise TroubleError(
            f"'{text}' is no time between two backups. Write one from 10m to 366d, such as 1d, 12h "
            "or 30m.",
        )
    return span


def moments(settings: Settings) -> list[datetime]:
    """Return when the backups in the usual folder were made."""
    return [backup.moment for backup in retention.backups(settings.home / retention.FOLDER)]


class Timer:
    """Tells the supervisor, which asks again and again, when to begin with a backup."""

    def __init__(
        self,
        load: Callable[[], Settings],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`load` reads the settings anew: a schedule counts from the moment it was set."""
        self._load = load
        self._clock = clock
        self._tried: datetime | None = None

    def is_due(self) -> bool:
        """Tell whether to begin now; raises TroubleError for a damaged schedule."""
        now = self._clock()
        settings = self._load()
        schedule = of(settings)
        if schedule is None or not schedule.is_due(moments(settings), now):
            return False
        if self._tried is not None and timedelta(0) <= now - self._tried < RETRY:
            return False
        self._tried = now
        return True
