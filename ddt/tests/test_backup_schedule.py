"""When a backup is due: time is an argument, and the settings keep the schedule."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ddt.backup import retention, schedule
from ddt.backup.schedule import RETRY, Schedule, Timer
from ddt.errors import TroubleError
from ddt.settings import Settings

from ddt import doctor

DDT = Path(sys.executable).with_name("ddt")
NOW = datetime(2126, 5, 17, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    (tmp_path / retention.FOLDER).mkdir()
    return Settings(tmp_path, backup_every="1d", backup_keep="7d 5w")


def made(chosen: Settings, moment: datetime) -> Path:
    file = chosen.home / retention.FOLDER / retention.name_at(moment)
    file.touch()
    return file


def ddt(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DDT_", "DATABASE_URL"))}
    result = subprocess.run(
        [DDT, *arguments], env={**kept, "DDT_HOME": str(home)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in result.stderr
    return result


@pytest.mark.parametrize(
    ("ages", "is_due"),
    [
        ([], True),
        ([DAY], True),
        ([DAY - SECOND], False),
        ([timedelta(0)], False),
        ([5 * DAY, 2 * DAY], True),
        ([5 * DAY, HOUR], False),
        # A clock that was wrong once must not end all backups for years.
        ([-400 * DAY], True),
        ([-400 * DAY, HOUR], False),
    ],
)
def test_a_backup_is_due_when_none_was_made_in_the_last_span(
    ages: list[timedelta], *, is_due: bool
) -> None:
    assert Schedule(DAY, "7d").is_due([NOW - age for age in ages], NOW) is is_due


def test_the_next_one_is_told(chosen: Settings) -> None:
    found = Schedule(DAY, "7d")
    assert found.due_at([], NOW) == NOW
    assert found.due_at([NOW - HOUR, NOW - 3 * DAY], NOW) == NOW + 23 * HOUR
    assert found.due_at([NOW - 3 * DAY], NOW) == NOW
    assert found.due_at([NOW + 400 * DAY], NOW) == NOW


@pytest.mark.parametrize(
    ("text", "span"),
    [("1d", DAY), ("12h", 12 * HOUR), ("30m", HOUR / 2), ("1w", 7 * DAY), (" 10m ", HOUR / 6)],
)
def test_a_span_is_read(text: str, span: timedelta) -> None:
    assert schedule.every(text) == span


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0d",
        "1",
        "d",
        "1y",
        "-1d",
        "1.5d",
        "9m",
        "367d",
        "999999w",
        "1d 1h",
        "1D",
        "٣d",
        "1d\n1d",
    ],
)
def test_a_span_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(TroubleError, match="Write one from 10m to 366d"):
        schedule.every(text)


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def test_the_timer_begins_once_and_again_only_after_a_while_when_it_failed(
    chosen: Settings,
) -> None:
    clock = Clock()
    timer = Timer(lambda: chosen, clock)
    assert timer.is_due()
    clock.now += RETRY - SECOND
    assert not timer.is_due()
    clock.now += SECOND
    assert timer.is_due()
    made(chosen, clock.now)
    clock.now += DAY - SECOND
    assert not timer.is_due()
    clock.now += SECOND
    assert timer.is_due()


def test_a_clock_that_goes_back_stops_no_backup(chosen: Settings) -> None:
    clock = Clock()
    timer = Timer(lambda: chosen, clock)
    assert timer.is_due()
    clock.now -= 400 * DAY
    assert timer.is_due()


def test_without_a_schedule_nothing_is_ever_due_and_one_counts_from_when_it_is_set(
    chosen: Settings,
) -> None:
    settings = [replace(chosen, backup_every="", backup_keep="")]
    timer = Timer(lambda: settings[0], Clock())
    assert not timer.is_due()
    settings[0] = chosen
    assert timer.is_due()


def test_a_damaged_schedule_is_told(chosen: Settings) -> None:
    for damaged in (
        replace(chosen, backup_every="often"),
        replace(chosen, backup_keep="some"),
        replace(chosen, backup_keep=""),
    ):
        with pytest.raises(TroubleError):
            Timer(lambda settings=damaged: settings, Clock()).is_due()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that looks as if a platform were in it; nothing runs."""
    (tmp_path / "home" / "postgresql").mkdir(parents=True)
    return tmp_path / "home"


def test_the_schedule_is_kept_in_the_settings_shown_and_ended(home: Path) -> None:
    assert "no schedule" in ddt(home, "backup", "schedule").stdout
    set_now = ddt(home, "backup", "schedule", "--every", "12h", "--keep", "3d", "--json")
    answer = json.loads(set_now.stdout)
    assert (answer["every"], answer["keep"]) == ("12h", "3d")
    assert answer["newest_at"] is None
    assert answer["next_at"] is not None
    # Another word changes only what it names, and other settings stay.
    ddt(home, "backup", "schedule", "--every", "1d")
    lines = (home / "config").read_text().splitlines()
    assert "DDT_BACKUP_EVERY=1d" in lines
    assert "DDT_BACKUP_KEEP=3d" in lines
    assert "DDT_DOMAIN=theddt.localhost" in lines
    assert "each 1d" in ddt(home, "backup", "schedule").stdout
    ddt(home, "init")
    assert "each 1d" in ddt(home, "backup", "schedule").stdout
    assert "no schedule" in ddt(home, "backup", "schedule", "--off").stdout
    assert "no schedule" in ddt(home, "backup", "schedule").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--every", "sometimes"], "1d, 12h"),
        (["--every", "1d", "--keep", "all"], "7d 5w 12m"),
        (["--every", "1d", "--keep", "0d"], "keep no backup"),
        (["--keep", "7d"], "--every"),
        (["--off", "--every", "1d"], "--off"),
    ],
)
def test_a_schedule_that_cannot_be_changes_nothing(home: Path, words: list[str], told: str) -> None:
    result = ddt(home, "backup", "schedule", *words)
    assert result.returncode == 1
    assert told in result.stderr
    assert not (home / "config").exists()


def test_without_a_platform_there_is_nothing_to_schedule(tmp_path: Path) -> None:
    result = ddt(tmp_path / "none", "backup", "schedule", "--every", "1d")
    assert result.returncode == 1
    assert "ddt up" in result.stderr


def test_the_doctor_tells_of_a_backup_that_is_late(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.start, "status", lambda _: {"state": "ready"})
    assert "no backup yet" in doctor.backups(chosen, NOW)
    made(chosen, NOW - 2 * DAY)
    assert "each 1d" in doctor.backups(chosen, NOW)
    with pytest.raises(TroubleError, match="ddt logs backup"):
        doctor.backups(chosen, NOW + SECOND)
    assert "No schedule" in doctor.backups(replace(chosen, backup_every=""), NOW + SECOND)
    # One that stands still makes none.
    monkeypatch.setattr(doctor.start, "status", lambda _: {"state": "stopped"})
    assert doctor.backups(chosen, NOW + SECOND)
