"""What of a rotation needs no platform: the journal, the lists, and what is refused."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ddt.errors import TroubleError
from ddt.native import postgrest, token_keys
from ddt.rotation import secret_key, token_key
from ddt.rotation.journal import Journal, exclusively
from ddt.rotation.rotate import KINDS, Rotation
from ddt.settings import Settings

from ddt import secret_files

DDT = Path(sys.executable).with_name("ddt")
NOW = datetime(2126, 5, 17, 12, tzinfo=UTC)
KEY = secret_key.SECRET


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    """A home that has run once: its secrets are there, and the signer's mark."""
    secret_files.prepare(tmp_path / "secrets")
    (tmp_path / "keystore").mkdir()
    (tmp_path / "keystore" / "keystore.check").touch()
    return Settings(tmp_path)


@pytest.fixture
def journal(chosen: Settings) -> Journal:
    return Journal(chosen.secrets)


def ddt(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DDT_", "DATABASE_URL"))}
    result = subprocess.run(
        [DDT, *arguments], env={**kept, "DDT_HOME": str(home)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in result.stderr
    return result


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_every_secret_of_the_platform_is_of_a_kind_that_can_be_rotated() -> None:
    assert {*secret_files.NAMES, secret_files.TOKEN_KEY} <= set(KINDS)


def test_the_value_to_come_is_made_once_and_for_the_owner_only(journal: Journal) -> None:
    new = journal.begin(KEY)
    assert journal.begin(KEY) == new
    assert len(new) == 64
    assert (journal.folder / f"{KEY}.next").stat().st_mode & 0o777 == 0o600


def test_the_switch_keeps_the_value_before_until_the_end(journal: Journal) -> None:
    old = secret_files.read(journal.folder, KEY)
    before = names(journal.folder)
    new = journal.begin(KEY)
    assert journal.unfinished() == [KEY]
    journal.switch(KEY)
    assert secret_files.read(journal.folder, KEY) == new
    assert journal.retired(KEY) == old
    assert journal.unfinished() == [KEY]
    journal.end(KEY)
    journal.end(KEY)
    assert journal.unfinished() == []
    assert names(journal.folder) == before


def test_a_switch_that_was_cut_off_between_its_two_steps_is_done_again(journal: Journal) -> None:
    old, new = secret_files.read(journal.folder, KEY), journal.begin(KEY)
    os.link(journal.folder / KEY, journal.folder / f"{KEY}.retired")
    journal.switch(KEY)
    assert (secret_files.read(journal.folder, KEY), journal.retired(KEY)) == (new, old)


def test_an_empty_value_to_come_is_told_and_changes_nothing(journal: Journal) -> None:
    old = secret_files.read(journal.folder, KEY)
    (journal.folder / f"{KEY}.next").touch()
    with pytest.raises(TroubleError, match="is empty"):
        journal.begin(KEY)
    assert secret_files.read(journal.folder, KEY) == old


def test_two_never_change_secrets_at_once(tmp_path: Path) -> None:
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with exclusively(tmp_path, wait_seconds=0):
            inside.set()
            leave.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait(30)
    with pytest.raises(TroubleError, match="works in"), exclusively(tmp_path, wait_seconds=0.3):
        pass
    leave.set()
    with exclusively(tmp_path, wait_seconds=30):
        holder.join()


def fallbacks(chosen: Settings) -> list[str]:
    file = chosen.secrets / secret_key.FALLBACKS
    return [line.split()[1] for line in file.read_text().splitlines()]


def test_secret_keys_from_before_are_kept_for_as_long_as_a_session_lives(
    chosen: Settings,
) -> None:
    values = [secret_files.read(chosen.secrets, KEY)]
    for hours in (0, 5, 10):
        Rotation(chosen, NOW + timedelta(hours=hours)).run(KEY)
        values.append(secret_files.read(chosen.secrets, KEY))
    assert len(set(values)) == 4
    assert fallbacks(chosen) == [values[2], values[1], values[0]]
    Rotation(chosen, NOW + timedelta(hours=13)).run(KEY)
    assert fallbacks(chosen) == [values[3], values[2], values[1]]
    Rotation(chosen, NOW + timedelta(hours=14), at_once=True).run(KEY)
    assert not (chosen.secrets / secret_key.FALLBACKS).exists()


def test_a_change_of_the_secret_key_that_was_cut_off_before_the_switch_keeps_each_key_once(
    chosen: Settings, journal: Journal
) -> None:
    old, new = secret_files.read(chosen.secrets, KEY), journal.begin(KEY)
    (chosen.secrets / secret_key.FALLBACKS).write_text(
        f"{(NOW + secret_key.SESSION_LIFE).isoformat()} {old}\n"
    )
    assert Rotation(chosen, NOW).run(KEY)
    assert secret_files.read(chosen.secrets, KEY) == new
    assert fallbacks(chosen) == [old]


def signing(chosen: Settings, now: datetime) -> list[token_keys.Key]:
    return token_keys.keys(secret_files.read(chosen.secrets, token_key.SECRET), now)


def test_keys_that_signed_are_kept_for_as_long_as_a_token_lives(chosen: Settings) -> None:
    pems = [signing(chosen, NOW)[0].pem]
    for hours in (0, 5, 10):
        moment = NOW + timedelta(hours=hours)
        assert not Rotation(chosen, moment).run(token_key.SECRET)
        pems.insert(0, signing(chosen, moment)[0].pem)
    assert len(set(pems)) == 4
    found = signing(chosen, moment)
    assert [key.pem for key in found] == pems
    ends = [moment + token_key.TOKEN_LIFE - timedelta(hours=h) for h in (0, 5, 10)]
    assert [key.until for key in found] == [None, *ends]
    assert [key.pem for key in signing(chosen, ends[1])] == pems[:2]
    Rotation(chosen, ends[1]).run(token_key.SECRET)
    assert [key.pem for key in signing(chosen, ends[1])][1:] == pems[:2]
    text = (chosen.secrets / token_key.SECRET).read_text()
    assert pems[3] not in text, "what has ended is taken out"
    assert (chosen.secrets / token_key.SECRET).stat().st_mode & 0o777 == 0o600


def test_at_once_no_key_before_the_new_one_counts(chosen: Settings, journal: Journal) -> None:
    Rotation(chosen, NOW).run(token_key.SECRET)
    Rotation(chosen, NOW, at_once=True).run(token_key.SECRET)
    assert len(signing(chosen, NOW)) == 1
    assert journal.unfinished() == []


def test_a_change_of_the_token_key_that_was_cut_off_goes_on_with_the_same_new_key(
    chosen: Settings, journal: Journal
) -> None:
    (chosen.home / "postgrest").mkdir()
    old = signing(chosen, NOW)[0].pem
    token_key.prepare(journal, now=NOW, at_once=False)
    new = token_keys.keys(journal.coming(token_key.SECRET) or "", NOW)[0].pem
    # Whoever checks by a file knows both, before the new one signs.
    published = json.loads(postgrest.write_keys(chosen).read_text())["keys"]
    assert len(published) == 2
    assert Rotation(chosen, NOW).run(token_key.SECRET)
    assert [key.pem for key in signing(chosen, NOW)] == [new, old]


def test_a_change_that_was_cut_off_after_the_switch_can_still_be_made_to_end_at_once(
    chosen: Settings, journal: Journal
) -> None:
    token_key.prepare(journal, now=NOW, at_once=False)
    journal.switch(token_key.SECRET)
    new = signing(chosen, NOW)[0].pem
    assert Rotation(chosen, NOW, at_once=True).run(token_key.SECRET)
    assert [key.pem for key in signing(chosen, NOW)] == [new]
    assert journal.unfinished() == []


def test_a_damaged_token_key_is_told_and_nothing_is_changed(chosen: Settings) -> None:
    file = chosen.secrets / token_key.SECRET
    file.write_text("no key")
    result = ddt(chosen.home, "rotate", token_key.SECRET)
    assert result.returncode == 1
    assert "no usable RSA key" in result.stderr
    assert file.read_text() == "no key"


def test_what_is_not_one_of_ours_in_the_folder_is_left_alone(
    chosen: Settings, journal: Journal
) -> None:
    (chosen.secrets / "somebody.next").write_text("x")
    assert Rotation(chosen, NOW).finish() == []
    assert (chosen.secrets / "somebody.next").read_text() == "x"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nonsense", "redis-password"),
        ("admin-password", "reset_admin_password"),
        ("backup-identity", "docs/operations.md"),
        ("../config", "There are:"),
        ("keystore-kek.next", "There are:"),
    ],
)
def test_another_name_is_refused_with_the_ones_there_are(
    chosen: Settings, name: str, told: str
) -> None:
    before = names(chosen.secrets)
    result = ddt(chosen.home, "rotate", name)
    assert result.returncode == 1
    assert told in result.stderr
    assert all(kind in result.stderr for kind in KINDS)
    assert names(chosen.secrets) == before


def test_a_platform_that_never_ran_has_nothing_to_rotate(tmp_path: Path) -> None:
    result = ddt(tmp_path / "home", "rotate", "redis-password")
    assert result.returncode == 1
    assert "ddt up" in result.stderr


def test_the_superuser_of_ones_own_server_is_not_ours_to_change(tmp_path: Path) -> None:
    secret_files.prepare(tmp_path / "secrets")
    (tmp_path / "keystore").mkdir()
    (tmp_path / "keystore" / "keystore.check").touch()
    own = Settings(tmp_path, database_url="postgresql://db.example.test/")
    with pytest.raises(TroubleError, match="DATABASE_URL"):
        Rotation(own, NOW).run("postgres-password")


def test_at_once_is_refused_where_it_means_nothing(chosen: Settings) -> None:
    result = ddt(chosen.home, "rotate", "redis-password", "--at-once")
    assert result.returncode == 1
    assert KEY in result.stderr


def test_the_list_tells_what_each_opens_and_which_was_cut_off(
    chosen: Settings, journal: Journal
) -> None:
    journal.begin("redis-password")
    rows = json.loads(ddt(chosen.home, "rotate", "--json").stdout)["results"]
    assert {row["secret"] for row in rows} == set(KINDS)
    assert [row["secret"] for row in rows if row["is_cut_off"]] == ["redis-password"]
    assert "cut off" in ddt(chosen.home, "rotate").stdout


def test_the_doctor_names_what_was_cut_off(chosen: Settings, journal: Journal) -> None:
    journal.begin(KEY)
    checks = json.loads(ddt(chosen.home, "doctor", "--json").stdout)["checks"]
    (row,) = [check for check in checks if check["name"] == "rotations"]
    assert not row["ok"]
    assert f"ddt rotate {KEY}" in row["detail"]
