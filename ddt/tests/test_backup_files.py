"""The backup file and its keys: whole or not at all, and nothing strange comes out of it."""

import io
import json
import stat
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyrage
import pytest
from ddt.backup import archive, keys, retention
from ddt.backup.archive import Member
from ddt.errors import TroubleError
from hypothesis import given
from hypothesis import strategies as st
from pyrage import x25519

IDENTITY = x25519.Identity.generate()
NOW = datetime(2126, 5, 17, 12, tzinfo=UTC)


def write(folder: Path, octets: bytes = b"abc", limit: int | None = None) -> Path:
    source = folder / "source"
    source.write_bytes(octets)
    target = folder / "b.age"
    archive.write(
        target, [Member("keystore/k", source, limit)], {"mode": "t"}, [IDENTITY.to_public()]
    )
    return target


def sealed(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, octets in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(octets)
            tar.addfile(info, io.BytesIO(octets))
    return bytes(pyrage.encrypt(buffer.getvalue(), [IDENTITY.to_public()]))


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    file = write(tmp_path, b"x" * 1_000_000)
    manifest = archive.extract(file, tmp_path / "out", [IDENTITY])
    assert manifest["mode"] == "t"
    assert (tmp_path / "out/keystore/k").read_bytes() == b"x" * 1_000_000
    assert stat.S_IMODE((tmp_path / "out/keystore/k").stat().st_mode) == 0o600
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_was_appended_after_the_beginning_is_left_out(tmp_path: Path) -> None:
    file = write(tmp_path, b"line\nlater\n", limit=5)
    archive.extract(file, tmp_path / "out", [IDENTITY])
    assert (tmp_path / "out/keystore/k").read_bytes() == b"line\n"


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    file = write(tmp_path)
    with pytest.raises(TroubleError, match="encrypted to other keys"):
        archive.extract(file, tmp_path / "out", [x25519.Identity.generate()])


@pytest.mark.parametrize("position", [0, 30, 120, 250, -1, -300])
def test_a_changed_octet_is_found(tmp_path: Path, position: int) -> None:
    file = write(tmp_path, b"x" * 200_000)
    octets = bytearray(file.read_bytes())
    octets[position] ^= 1
    file.write_bytes(octets)
    with pytest.raises(TroubleError):
        archive.extract(file, tmp_path / "out", [IDENTITY])


@pytest.mark.parametrize("left", [0, 10, 150, 65_000, 150_000])
def test_a_cut_is_found(tmp_path: Path, left: int) -> None:
    file = write(tmp_path, b"x" * 200_000)
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(TroubleError):
        archive.extract(file, tmp_path / "out", [IDENTITY])


@pytest.mark.parametrize(
    "name",
    [
        "../evil", "/etc/passwd", "secrets/../../evil", "secrets/..", "run/x", "secrets", "",
        "keystore//k", "databases/a/b/c.dump", "databases/x.dump", "postgresql/PG_VERSION",
    ],
)  # fmt: skip
def test_a_member_of_a_strange_name_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "b.age"
    file.write_bytes(sealed((name, b"evil"), ("manifest.json", b"{}")))
    with pytest.raises(TroubleError, match="no whole backup"):
        archive.extract(file, tmp_path / "out" / "deep", [IDENTITY])
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p != file]


def test_a_link_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "b.age"
    file.write_bytes(sealed(("secrets/a", b""), kind=tarfile.SYMTYPE))
    with pytest.raises(TroubleError, match="should not have"):
        archive.extract(file, tmp_path / "out", [IDENTITY])


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"format": "theDDT backup"}',
        b'{"format": "theDDT backup", "version": 2, "members": {}}',
        b'{"format": "theDDT backup", "version": 1}',
        b'{"format": "theDDT backup", "version": 1, "members": {}}',
        b"[" * 100_000,
    ],
)
def test_a_list_of_contents_that_does_not_fit_is_refused(tmp_path: Path, manifest: bytes) -> None:
    file = tmp_path / "b.age"
    file.write_bytes(sealed(("secrets/a", b"a"), ("manifest.json", manifest)))
    with pytest.raises(TroubleError):
        archive.extract(file, tmp_path / "out", [IDENTITY])


@given(st.binary(max_size=2000))
def test_noise_is_no_backup(tmp_path_factory: pytest.TempPathFactory, octets: bytes) -> None:
    folder = tmp_path_factory.mktemp("noise")
    (folder / "b.age").write_bytes(octets)
    (folder / "c.age").write_bytes(bytes(pyrage.encrypt(octets, [IDENTITY.to_public()])))
    for name in ("b.age", "c.age"):
        with pytest.raises(TroubleError):
            archive.extract(folder / name, folder / "out", [IDENTITY])


def test_a_backup_that_fails_leaves_the_one_before_and_no_half(tmp_path: Path) -> None:
    before = write(tmp_path).read_bytes()
    with pytest.raises(TroubleError, match="could not be written"):
        archive.write(
            tmp_path / "b.age",
            [Member("keystore/k", tmp_path / "none")],
            {},
            [IDENTITY.to_public()],
        )
    assert (tmp_path / "b.age").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_the_key_is_made_once_and_both_files_are_the_owners(tmp_path: Path) -> None:
    files = keys.Keys(tmp_path / "secrets" / keys.IDENTITY, tmp_path / "backups" / "recipients")
    assert files.ensure()
    assert stat.S_IMODE(files.identity.stat().st_mode) == 0o600
    made = files.identity.read_text()
    assert not files.ensure()
    assert files.identity.read_text() == made
    identity = keys.read_identities(files.identity)[0]
    assert [str(r) for r in keys.read_recipients(files.recipients)] == [str(identity.to_public())]


def test_a_private_key_taken_away_is_not_made_again(tmp_path: Path) -> None:
    files = keys.Keys(tmp_path / keys.IDENTITY, tmp_path / "backups" / "recipients")
    files.ensure()
    files.identity.unlink()
    assert not files.ensure()
    assert not files.identity.exists()
    with pytest.raises(TroubleError, match="is missing"):
        keys.read_identities(files.identity)


@pytest.mark.parametrize("text", ["", "# nobody\n", "age1xyz\n", "AGE-SECRET-KEY-1\n", "\xff"])
def test_recipients_that_are_none_are_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "recipients"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(TroubleError):
        keys.read_recipients(file)


def test_a_wrong_private_key_is_told_without_repeating_it(tmp_path: Path) -> None:
    file = tmp_path / "identity"
    file.write_text(f"{str(IDENTITY)[:-1]}\n")
    with pytest.raises(TroubleError) as caught:
        keys.read_identities(file)
    assert str(IDENTITY)[20:40] not in str(caught.value)


def made_daily(folder: Path, days: int) -> list[retention.Backup]:
    for day in range(days):
        (folder / retention.name_at(NOW - timedelta(days=day))).touch()
    return retention.backups(folder)


def test_days_weeks_and_months_are_kept(tmp_path: Path) -> None:
    there = made_daily(tmp_path, 400)
    gone = {b.file for b in retention.superfluous(there, retention.parse("7d 5w 12m"))}
    kept = [b for b in there if b.file not in gone]
    assert [b.moment for b in kept[:7]] == [NOW - timedelta(days=n) for n in range(7)]
    assert len({(b.moment.year, b.moment.month) for b in kept}) >= 12
    assert 7 + 11 <= len(kept) <= 7 + 5 + 12


def test_the_newest_is_kept_whatever_the_rule(tmp_path: Path) -> None:
    there = made_daily(tmp_path, 3)
    assert there[0] not in retention.superfluous(there, {"d": 0})


def test_other_files_are_no_backups(tmp_path: Path) -> None:
    for name in ("theddt-x.age", "other.age", "theddt-99999999T999999Z.age", "recipients"):
        (tmp_path / name).touch()
    (tmp_path / retention.name_at(NOW)).mkdir()
    assert retention.backups(tmp_path) == []
    assert retention.backups(tmp_path / "none") == []


@pytest.mark.parametrize("text", ["", "0d", "7", "d7", "7d 3d", "-1d", "7y", "all"])
def test_a_rule_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(TroubleError):
        retention.parse(text)


def test_the_manifest_lists_size_and_digest(tmp_path: Path) -> None:
    manifest = archive.extract(write(tmp_path), tmp_path / "out", [IDENTITY])
    assert manifest["members"]["keystore/k"]["size"] == 3
    assert json.dumps(manifest)
