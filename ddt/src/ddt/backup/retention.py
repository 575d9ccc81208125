"""Which scheduled backups are kept: the newest of each of the last days, weeks and months."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ddt.errors import TroubleError

FOLDER = "backups"
DEFAULT = "7d 5w 12m"
SUFFIX = ".age"
_NAME = re.compile(r"theddt-(\d{8}T\d{6}Z)\.age")
_STAMP = "%Y%m%dT%H%M%SZ"
_PERIODS: dict[str, Callable[[datetime], tuple[int, ...]]] = {
    "d": lambda moment: (moment.year, moment.month, moment.day),
    "w": lambda moment: tuple(moment.isocalendar()[:2]),
    "m": lambda moment: (moment.year, moment.month),
}


@dataclass(frozen=True)
class Backup:
    """A backup in the usual folder, by its name."""

    file: Path
    moment: datetime


def name_at(moment: datetime) -> str:
    """Return the name of a backup that is made at this moment (UTC)."""
    return f"theddt-{moment.astimezone(UTC).strftime(_STAMP)}{SUFFIX}"


def backups(folder: Path) -> list[Backup]:
    """Return the whole backups in the folder, newest first; other files are not ours."""
    found = []
    for file in folder.glob(f"theddt-*{SUFFIX}") if folder.is_dir() else []:
        if (match := _NAME.fullmatch(file.name)) and file.is_file():
            try:
                moment = datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC)
            except ValueError:
                continue
            found.append(Backup(file, moment))
    return sorted(found, key=lambda backup: backup.moment, reverse=True)


def parse(text: str) -> dict[str, int]:
    """Return how many days (d), weeks (w) and months (m) `7d 5w 12m` keeps.

    Raises TroubleError for anything else, and for a rule that would keep nothing.
    """
    rule: dict[str, int] = {}
    for word in text.replace(",", " ").split():
        match = re.fullmatch(r"(\d{1,4})([dwm])", word)
        if match is None or match[2] in rule:
            raise TroubleError(
                f"'{text}' does not say what to keep. Write days, weeks and months as in "
                f"'{DEFAULT}'.",
            )
        rule[match[2]] = int(match[1])
    if not sum(rule.values()):
        raise TroubleError(f"'{text}' would keep no backup. Write it as in '{DEFAULT}'.")
    return rule


def superfluous(there: Iterable[Backup], rule: dict[str, int]) -> list[Backup]:
    """Return what the rule does not keep. The newest is always kept."""
    ordered = sorted(there, key=lambda backup: backup.moment, reverse=True)
    kept = {backup.file for backup in ordered[:1]}
    for unit, count in rule.items():
        newest: dict[tuple[int, ...], Backup] = {}
        for backup in ordered:
            newest.setdefault(_PERIODS[unit](backup.moment), backup)
        kept |= {backup.file for backup in list(newest.values())[:count]}
    return [backup for backup in ordered if backup.file not in kept]
