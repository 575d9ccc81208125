"""What of a rotation in containers needs no engine: files, verifiers, who reads what, refusals."""

import base64
import hashlib
import hmac
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ddt.containers import preparation, project, secret_kinds
from ddt.containers.project import Project
from ddt.errors import TroubleError
from ddt.rotation import containers, scram, token_key
from ddt.rotation.mounted import MountedJournal

ROOT = Path(__file__).parents[2]
DDT = Path(sys.executable).with_name("ddt")
NOW = datetime(2126, 5, 17, 12, tzinfo=UTC)
NAME = "pkakey-web-password"


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose secrets are made."""
    for name in ("docker-compose.yml", ".env.example"):
        (tmp_path / name).symlink_to(ROOT / name)
    for variable in ("SECRETS_DIR", "DOMAIN", "HTTPS_PORT", "HTTP_PORT"):
        monkeypatch.delenv(variable, raising=False)
    made = project.load(tmp_path)
    preparation.prepare(made)
    return made


@pytest.fixture
def journal(chosen: Project) -> MountedJournal:
    return MountedJournal(chosen.secrets)


def test_every_secret_of_the_compose_file_can_be_rotated_or_says_why_not(chosen: Project) -> None:
    assert set(project.secret_files(chosen.folder)) == {*containers.NAMES, *containers.NOT_OURS}
    assert len(containers.NAMES) == len(set(containers.NAMES))


def test_a_new_value_is_written_into_the_file_that_containers_have_mounted(
    journal: MountedJournal,
) -> None:
    file = journal.folder / NAME
    old, inode = file.read_text(), file.stat().st_ino
    new = journal.begin(NAME, secret_kinds.kind_of(NAME).new)
    with file.open() as mounted:
        journal.switch(NAME)
        assert mounted.read() == new != old
    assert file.stat().st_ino == inode
    assert file.stat().st_mode & 0o777 == 0o444
    assert journal.retired(NAME) == old
    assert (journal.folder / f"{NAME}.retired").stat().st_mode & 0o777 == 0o600
    journal.end(NAME)
    assert journal.unfinished() == []


def test_a_shorter_value_leaves_nothing_of_a_longer_one(journal: MountedJournal) -> None:
    journal.write("keystore-kek", "a" * 64 + "\n" + "b" * 64)
    journal.write("keystore-kek", "c" * 64)
    assert (journal.folder / "keystore-kek").read_text() == "c" * 64


def test_a_switch_that_was_cut_off_after_the_file_is_done_again(journal: MountedJournal) -> None:
    old = (journal.folder / NAME).read_text()
    new = journal.begin(NAME)
    journal.switch(NAME)
    (journal.folder / f"{NAME}.next").write_text(new)
    journal.switch(NAME)
    assert (journal.folder / NAME).read_text() == new
    assert journal.retired(NAME) == old
    assert not journal.has_begun(NAME)


def test_both_keys_of_a_keystore_that_is_sealed_again_are_taken_for_a_secret(
    journal: MountedJournal,
) -> None:
    name = "keystore-kek"
    file = journal.folder / name
    journal.write(name, file.read_text() + "\n" + "a" * 64)
    preparation.check_secret(name, file)
    journal.write(name, "a" * 64 + "\nshort")
    with pytest.raises(TroubleError, match="has 5 characters"):
        preparation.check_secret(name, file)


def test_a_former_token_key_beside_the_new_one_is_taken_for_a_secret(
    journal: MountedJournal,
) -> None:
    file = journal.folder / token_key.SECRET
    former = file.read_text()
    token_key.prepare(journal, now=NOW, at_once=False)
    journal.switch(token_key.SECRET)
    preparation.check_secret(token_key.SECRET, file)
    assert former in file.read_text()
    token_key.forget(journal, now=NOW)
    preparation.check_secret(token_key.SECRET, file)
    assert former not in file.read_text()


def test_a_verifier_is_what_rfc_5802_computes() -> None:
    # The password, salt and proof of section 3 of RFC 7677.
    text = scram.verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    kind, iterations, rest = text.split("$")[0], *text.split("$")[1:]
    assert (kind, iterations.split(":")[0]) == ("SCRAM-SHA-256", "4096")
    stored, server = (base64.b64decode(word) for word in rest.split(":"))
    message = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)"
        b"hNlF$k0"
    )
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    signature = hmac.digest(stored, message, "sha256")
    client = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    assert hashlib.sha256(client).digest() == stored
    expected = base64.b64decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    assert hmac.digest(server, message, "sha256") == expected
    assert scram.verifier("pencil") != scram.verifier("pencil")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nonsense", "redis-password"),
        ("admin-password", "Keycloak's console"),
        ("pesequel-postgrest-uri", "rotate that"),
        ("../.env", "There are:"),
        ("keystore-kek.next", "There are:"),
    ],
)
def test_another_name_is_refused_with_the_ones_there_are(
    chosen: Project, name: str, told: str
) -> None:
    before = sorted(chosen.secrets.iterdir())
    done = subprocess.run(
        [DDT, "rotate", "--docker", name], cwd=chosen.folder,
        env={**os.environ, "DDT_PROJECT": str(chosen.folder)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(chosen.secrets.iterdir()) == before
