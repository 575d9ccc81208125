"""What `ddt doctor` makes of memory and the clock, and what `ddt hosts` prints."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from ddt.errors import TroubleError
from ddt.settings import Settings

from ddt import doctor

DDT = Path(sys.executable).with_name("ddt")
NOW = datetime(2126, 5, 17, 12, tzinfo=UTC)


def with_memory(monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    monkeypatch.setattr(doctor.psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    monkeypatch.setattr(doctor.start, "status", lambda _: {"state": state})


def test_too_little_memory_to_start_is_told_with_both_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_memory(monkeypatch, 800_000_000, "stopped")
    with pytest.raises(TroubleError, match=r"0\.8 GB.* 1\.0 GB.*End other programs"):
        doctor.memory(Settings(tmp_path))


@pytest.mark.parametrize(
    ("free", "state"),
    [
        (doctor.LEAST_MEMORY, "stopped"),
        # A platform that runs has what it needs: the rest is others'.
        (1, "ready"),
        (1, "starting"),
    ],
)
def test_enough_memory_or_a_running_platform_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    with_memory(monkeypatch, free, state)
    assert "are free" in doctor.memory(Settings(tmp_path))


def with_certificate(home: Path, begin: datetime) -> Settings:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(begin).not_valid_after(begin + timedelta(days=90))
        .sign(key, SHA256())
    )  # fmt: skip
    chosen = Settings(home)
    chosen.tls.mkdir(parents=True)
    (chosen.tls / "tls.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    return chosen


def test_a_clock_before_the_gateways_certificate_was_made_went_back(tmp_path: Path) -> None:
    chosen = with_certificate(tmp_path, NOW)
    with pytest.raises(TroubleError, match=r"2126-05-17 11:59.*2126-05-17 12:00.*timedatectl"):
        doctor.clock(chosen, NOW - timedelta(seconds=1))


@pytest.mark.parametrize("later", [timedelta(0), timedelta(days=30), timedelta(days=9000)])
def test_a_clock_after_it_says_nothing_wrong(tmp_path: Path, later: timedelta) -> None:
    said = doctor.clock(with_certificate(tmp_path, NOW), NOW + later)
    assert f"{NOW + later:%Y-%m-%d %H:%M}" in said


def test_without_a_certificate_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    assert "2126-05-17 12:00" in doctor.clock(Settings(tmp_path), NOW)


def test_a_damaged_certificate_is_told_and_the_other_checks_go_on(tmp_path: Path) -> None:
    chosen = with_certificate(tmp_path, NOW)
    (chosen.tls / "tls.pem").write_text("no certificate")
    rows = {row["name"]: row for row in doctor.examine(chosen)}
    assert not rows["clock"]["ok"]
    assert "failed" in rows["clock"]["detail"]
    assert rows["python"]["ok"]
    assert {"memory", "rotations", "backups"} <= rows.keys()


def hosts(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DDT_")}
    result = subprocess.run(
        [DDT, "hosts", *arguments], env={**kept, **more},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in result.stderr
    return result


def test_the_line_for_the_hosts_file_is_all_that_is_on_standard_output(tmp_path: Path) -> None:
    result = hosts(DDT_HOME=str(tmp_path / "home"), DDT_DOMAIN="pki.example.org")
    assert result.returncode == 0
    (line,) = result.stdout.splitlines()
    address, *names = line.split()
    assert address == "127.0.0.1"
    assert names == Settings(tmp_path, "pki.example.org").hosts
    assert "/etc/hosts" in result.stderr
    assert "drivers" in result.stderr
    # It only prints: nothing is made.
    assert not (tmp_path / "home").exists()


def test_the_names_of_the_containers_are_those_of_the_plan(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text("services: {}\n")
    result = hosts("--docker", DDT_PROJECT=str(tmp_path), DOMAIN="pki.example.org")
    assert result.returncode == 0, result.stderr
    names = result.stdout.split()[1:]
    assert names[0] == "pki.example.org"
    for service in ("keycloak", "auth", "api", "pgadmin", "pkakey", "flows"):
        assert f"{service}.pki.example.org" in names


@pytest.mark.parametrize("domain", ["", "one", "a_b.example", "-a.example", "a.example\n1.1.1.1 b"])
def test_a_domain_that_is_none_gets_into_no_hosts_file(tmp_path: Path, domain: str) -> None:
    result = hosts(DDT_HOME=str(tmp_path / "home"), DDT_DOMAIN=domain or "x")
    assert result.returncode == 1
    assert "DDT_DOMAIN" in result.stderr
    assert result.stdout == ""
