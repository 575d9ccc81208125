"""Secrets: made once, for the owner only, never overwritten."""

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ddt.errors import TroubleError

from ddt import secret_files


def test_every_secret_is_made_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    made = set(secret_files.prepare(folder))
    assert made == {*secret_files.NAMES, secret_files.TOKEN_KEY}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in secret_files.NAMES:
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
        assert len((folder / name).read_text()) == 64


def test_the_key_that_signs_tokens_is_made_anew_when_it_went_missing(tmp_path: Path) -> None:
    secret_files.prepare(tmp_path)
    key = tmp_path / secret_files.TOKEN_KEY
    before = key.read_text()
    assert before.startswith("-----BEGIN PRIVATE KEY-----")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.unlink()
    assert secret_files.prepare(tmp_path) == [secret_files.TOKEN_KEY]
    assert key.read_text() != before


def test_no_secret_equals_another(tmp_path: Path) -> None:
    secret_files.prepare(tmp_path)
    values = {secret_files.read(tmp_path, name) for name in secret_files.NAMES}
    assert len(values) == len(secret_files.NAMES)


def test_preparing_again_changes_nothing(tmp_path: Path) -> None:
    secret_files.prepare(tmp_path)
    before = {name: (tmp_path / name).read_text() for name in secret_files.NAMES}
    assert secret_files.prepare(tmp_path) == []
    assert before == {name: (tmp_path / name).read_text() for name in secret_files.NAMES}


def test_a_half_finished_first_start_is_finished(tmp_path: Path) -> None:
    (tmp_path / "keystore-kek").write_text("kept")
    (tmp_path / "redis-password").touch()
    (tmp_path / ".django-secret-key.new").write_text("hal")
    made = secret_files.prepare(tmp_path)
    assert "keystore-kek" not in made
    assert secret_files.read(tmp_path, "keystore-kek") == "kept"
    assert secret_files.read(tmp_path, "redis-password")


@pytest.mark.parametrize("name", secret_files.NAMES)
def test_a_secret_that_went_missing_is_named_and_not_replaced(tmp_path: Path, name: str) -> None:
    secret_files.prepare(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(TroubleError, match=f"{name} is missing. Restore it"):
        secret_files.prepare(tmp_path)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("content", ["", "\n", "  \n "])
def test_a_secret_that_became_empty_is_named(tmp_path: Path, content: str) -> None:
    secret_files.prepare(tmp_path)
    (tmp_path / "keystore-kek").write_text(content)
    with pytest.raises(TroubleError, match="is empty"):
        secret_files.prepare(tmp_path)


def test_a_secret_that_is_a_folder_or_no_text_is_told(tmp_path: Path) -> None:
    secret_files.prepare(tmp_path)
    (tmp_path / "keystore-kek").write_bytes(b"\xff\xfe")
    with pytest.raises(TroubleError, match="cannot be read"):
        secret_files.prepare(tmp_path)
    (tmp_path / "keystore-kek").unlink()
    (tmp_path / "keystore-kek").mkdir()
    with pytest.raises(TroubleError, match="cannot be read"):
        secret_files.prepare(tmp_path)


@pytest.fixture
def folder_of_a_user() -> Iterator[Path]:
    """A folder of an ordinary user, and this process as that user: root reads every file."""
    user = os.geteuid() or pwd.getpwnam("nobody").pw_uid
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, user, -1)
    before = os.geteuid()
    os.seteuid(user)
    yield folder
    os.seteuid(before)
    shutil.rmtree(folder)


def test_an_unreadable_secret_is_told(folder_of_a_user: Path) -> None:
    secret_files.prepare(folder_of_a_user)
    (folder_of_a_user / "keystore-kek").chmod(0)
    with pytest.raises(TroubleError, match="chmod 600"):
        secret_files.prepare(folder_of_a_user)


def test_a_folder_that_stood_open_is_shut(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)
    secret_files.private_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_link_is_no_private_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(TroubleError, match="belongs to another user or is no folder"):
        secret_files.private_folder(tmp_path / "link")
