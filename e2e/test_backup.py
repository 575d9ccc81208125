"""A backup of the running platform: the drill, the loss of everything, and the way back."""

import json
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from e2e.native_platform import Platform, make_csr, openssl

pytestmark = pytest.mark.platform


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that these tests may lose, with a good and a revoked certificate."""
    running = Platform(tmp_path_factory.mktemp("own") / "home")
    running.ddt("up")
    folder = running.home.parent
    for name in ("good", "gone"):
        _, csr = make_csr(folder, f"{name}.example.test")
        chain = ("--chain-out", folder / "chain.pem")
        running.ddt("issue", "--csr", csr, "--out", folder / f"{name}.pem", *chain)
    running.ddt("revoke", folder / "gone.pem", "--reason", "keyCompromise")
    (running.home / "media" / "a picture.txt").write_text("kept")
    yield running
    running.ddt("down", check=False)


def backups(platform: Platform) -> list[str]:
    return sorted(file.name for file in (platform.home / "backups").glob("theddt-*.age"))


def wait_for_another(platform: Platform, known: list[str]) -> list[str]:
    """Return the backups once there is a new one and no half one beside it."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        there = backups(platform)
        if set(there) - set(known) and not list((platform.home / "backups").glob("*.part")):
            return there
        time.sleep(0.5)
    pytest.fail(f"No backup was made: {platform.ddt('logs', 'backup', check=False).stdout}")


# The first test: the others count the backups that they make.
def test_the_running_platform_makes_backups_by_itself_and_keeps_what_it_was_told(
    own: Platform,
) -> None:
    own.ddt("backup", "schedule", "--every", "1d", "--keep", "1d")
    (made,) = wait_for_another(own, [])
    assert drill(own, own.home / "backups" / made)["ok"]
    # As if these had been made long ago, and what a killed one left in the clear.
    (own.home / "backups" / made).rename(own.home / "backups" / "theddt-20200101T000000Z.age")
    left = own.home / "backups" / ".work-killed"
    left.mkdir()
    (left / "pkakey").write_text("rows")
    known = ["theddt-20200101T000000Z.age"]
    # The schedule is kept over a restart; without one, another try waits for ten minutes.
    own.ddt("down")
    own.ddt("up")
    deadline = time.monotonic() + 60
    wait_for_another(own, known)
    while backups(own)[0] in known and time.monotonic() < deadline:
        time.sleep(0.2)
    (newest,) = backups(own)
    assert newest not in known
    assert not left.exists()
    assert own.status()["state"] == "ready"
    own.ddt("backup", "schedule", "--off")
    (own.home / "backups" / newest).unlink()


@pytest.fixture(scope="module")
def backup(own: Platform) -> Path:
    """A backup that was made while the platform ran."""
    answer = json.loads(own.ddt("backup", "--json").stdout)
    assert answer["rows"]["pkakey"] > 0
    return Path(answer["file"])


def ocsp(platform: Platform, name: str) -> str:
    folder = platform.home.parent
    return openssl(
        "ocsp", "-issuer", folder / "chain.pem", "-cert", folder / f"{name}.pem",
        "-CAfile", platform.root(), "-url", f"http://127.0.0.1:{platform.http_port}/ocsp",
    ).stdout  # fmt: skip


def crl_numbers(platform: Platform) -> dict[str, int]:
    api = f"{platform.portal}/api/v1/authorities/"
    token = (platform.home / "secrets" / "cli-token").read_text().strip()
    answer: dict[str, Any] = json.loads(
        platform.curl(api, "-H", f"Authorization: Bearer {token}").stdout
    )
    numbers = {}
    for row in answer["results"]:
        file = platform.home.parent / "a.crl"
        platform.curl(f"http://127.0.0.1:{platform.http_port}/crl/{row['id']}.crl", "-o", file)
        crl = x509.load_der_x509_crl(file.read_bytes())
        value = crl.extensions.get_extension_for_class(x509.CRLNumber).value
        numbers[str(row["id"])] = value.crl_number
    return numbers


def drill(platform: Platform, *arguments: str | Path) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        platform.ddt("backup", "drill", "--json", *arguments, check=False).stdout
    )
    return answer


def test_a_backup_shows_nothing_to_who_has_no_key(own: Platform, backup: Path) -> None:
    octets = backup.read_bytes()
    assert octets.startswith(b"age-encryption.org/v1")
    for secret in (own.home / "secrets").iterdir():
        assert secret.read_bytes().strip()[:40] not in octets or not secret.stat().st_size
    assert b"good.example.test" not in octets
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_the_drill_restores_and_finds_all_well_beside_the_running_platform(
    own: Platform, backup: Path
) -> None:
    answer = drill(own)
    assert answer["ok"], answer
    assert {row["name"] for row in answer["checks"]} >= {
        "restore", "counts-pkakey", "audit-log", "chain", "crl", "signer-log", "ocsp", "new-crl",
    }  # fmt: skip
    assert own.status()["state"] == "ready"
    assert {file.name for file in backup.parent.iterdir()} == {backup.name, "recipients"}


def test_restore_leaves_a_running_platform_alone(own: Platform, backup: Path) -> None:
    result = own.ddt("restore", backup, check=False)
    assert result.returncode == 1
    assert "ddt down" in result.stderr
    assert own.status()["state"] == "ready"


def test_what_was_lost_comes_back_with_certificates_status_and_secrets(
    own: Platform, backup: Path
) -> None:
    kept = own.home.parent / "kept"
    kept.mkdir()
    shutil.copy2(backup, kept / "backup.age")
    shutil.copy2(own.home / "secrets" / "backup-identity", kept / "identity")
    before = crl_numbers(own)
    secrets = {
        file.name: file.read_bytes()
        for file in (own.home / "secrets").iterdir()
        if file.name != "backup-identity"
    }
    root = own.root().read_text()
    own.ddt("down")
    shutil.rmtree(own.home)
    own.ddt("restore", kept / "backup.age", "--identity", kept / "identity")
    own.ddt("up")
    assert own.root().read_text() == root
    assert {file.name: file.read_bytes() for file in (own.home / "secrets").iterdir()} == secrets
    assert (own.home / "media" / "a picture.txt").read_text() == "kept"
    assert "good.pem: good" in ocsp(own, "good")
    assert "gone.pem: revoked" in ocsp(own, "gone")
    after = crl_numbers(own)
    assert after.keys() == before.keys()
    assert all(after[number] > last + 1000 for number, last in before.items())
    _, csr = make_csr(own.home.parent, "after.example.test")
    own.ddt("issue", "--csr", csr, "--out", own.home.parent / "after.pem")
    doctor = json.loads(own.ddt("doctor", "--json", check=False).stdout)
    assert {row["name"]: row["ok"] for row in doctor["checks"]}["signer-log"]


def test_restore_over_a_platform_wants_to_be_told_and_keeps_it(own: Platform) -> None:
    # After the test before: the platform was restored, and its key is where it was kept.
    kept = own.home.parent / "kept"
    own.ddt("down")
    refused = own.ddt("restore", kept / "backup.age", "--identity", kept / "identity", check=False)
    assert refused.returncode == 1
    assert "--replace" in refused.stderr
    own.ddt("restore", "--replace", kept / "backup.age", "--identity", kept / "identity")
    (aside,) = own.home.glob("replaced-*")
    assert (aside / "postgresql" / "PG_VERSION").is_file()
    # A stopped platform can be backed up too.
    answer = json.loads(own.ddt("backup", "--json").stdout)
    shutil.copy2(kept / "identity", own.home / "secrets" / "backup-identity")
    assert drill(own, answer["file"])["ok"]
