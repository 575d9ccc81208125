"""The command as it is typed: what goes wrong is told in a sentence, and nothing is lost."""

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ddt.certificate_commands import expiry
from ddt.errors import TroubleError
from ddt.native import start

from ddt import settings

DDT = Path(sys.executable).with_name("ddt")
NOW = datetime(2126, 1, 1, tzinfo=UTC)


def ddt(home: Path, *arguments: str | Path, **more: str) -> "subprocess.CompletedProcess[str]":
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DDT_", "DATABASE_URL"))}
    result = subprocess.run(
        [DDT, *map(str, arguments)],
        env={**kept, "DDT_HOME": str(home), **more},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in result.stderr
    return result


def test_init_makes_a_home_for_its_owner_and_says_what_comes_next(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = ddt(home, "init", DDT_DOMAIN="pki.example.org")
    assert first.returncode == 0
    assert "up" in first.stdout
    assert home.stat().st_mode & 0o077 == 0
    again = ddt(home, "init", "--json")
    assert json.loads(again.stdout)["made"] == []
    assert json.loads(again.stdout)["portal"] == "https://pkakey.pki.example.org:8443/"


def test_a_stopped_platform_has_a_status_of_the_same_shape(tmp_path: Path) -> None:
    result = ddt(tmp_path / "home", "status", "--json")
    answer = json.loads(result.stdout)
    assert result.returncode == 1
    assert answer["state"] == "stopped"
    assert set(answer) == {"state", "services", "urls"}
    assert set(answer["urls"]) == {"portal", "api", "crl", "ocsp", "data", "flows"}


def test_down_of_a_stopped_platform_is_no_failure(tmp_path: Path) -> None:
    assert ddt(tmp_path / "home", "down").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["issue", "--csr", "CSR", "--out", "out.pem"],
        ["revoke", "1a2b"],
        ["list"],
        ["show", "1a2b"],
        ["token", "list"],
        ["trust", "--print"],
        ["logs"],
        ["restart", "web"],
        ["manage", "check"],
    ],
)
def test_without_a_platform_every_command_says_how_to_start_one(
    tmp_path: Path, arguments: list[str]
) -> None:
    csr = tmp_path / "a.csr"
    csr.write_text("-----BEGIN CERTIFICATE REQUEST-----\n")
    words = [str(csr) if word == "CSR" else word for word in arguments]
    result = ddt(tmp_path / "home", *words)
    assert result.returncode == 1
    assert "ddt up" in result.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DDT_HTTPS_PORT", "0"),
        ("DDT_HTTPS_PORT", "65536"),
        ("DDT_HTTP_PORT", "eighty"),
        ("DDT_HTTP_PORT", "8443"),
        ("DDT_DOMAIN", "localhost"),
        ("DDT_DOMAIN", "a b.example"),
        ("DDT_DOMAIN", "-x.example"),
        ("DDT_DOMAIN", "x`).example"),
    ],
)
def test_a_setting_that_cannot_be_is_named(tmp_path: Path, name: str, value: str) -> None:
    result = ddt(tmp_path / "home", "init", **{name: value})
    assert result.returncode == 1
    assert name in result.stderr
    assert not (tmp_path / "home").exists()


def test_a_taken_port_is_told_with_who_listens_and_how_to_go_on(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = ddt(tmp_path / "home", "up", DDT_HTTPS_PORT=str(port), DDT_HTTP_PORT="18081")
    assert result.returncode == 1
    assert f"Port {port} is taken by" in result.stderr
    assert f"process {os.getpid()}" in result.stderr
    assert "DDT_HTTPS_PORT" in result.stderr


def test_a_list_of_weak_keys_is_remembered_and_must_be_there(tmp_path: Path) -> None:
    home = tmp_path / "home"
    listed = tmp_path / "list"
    assert ddt(home, "init", PKAKEY_WEAK_KEYS_FILE=str(listed)).returncode == 0
    result = ddt(home, "up", DDT_HTTPS_PORT="18444", DDT_HTTP_PORT="18082")
    assert result.returncode == 1
    assert f"PKAKEY_WEAK_KEYS_FILE names {listed}" in result.stderr
    listed.write_text("70a51edc06f82ad131bc\n")
    start.check_weak_keys(listed)
    with pytest.raises(TroubleError, match="names"):
        start.check_weak_keys(tmp_path)


def test_a_full_disk_is_told_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "FREE_BYTES", 10**18)
    with pytest.raises(TroubleError, match="Free some space"):
        start.check_space(tmp_path)


def test_a_missing_secret_stops_the_start(tmp_path: Path) -> None:
    home = tmp_path / "home"
    ddt(home, "init")
    (home / "secrets" / "keystore-kek").unlink()
    result = ddt(home, "up", "--json", DDT_HTTPS_PORT="18082", DDT_HTTP_PORT="18083")
    assert result.returncode == 1
    assert "keystore-kek is missing" in json.loads(result.stdout)["detail"]


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"", "empty"), (b" \n", "empty"), (b"A" * 70_000, "64 KiB"), (b"\x30\x03\x02", "PKCS#10")],
)
def test_a_request_that_is_none_is_refused_before_it_is_sent(
    tmp_path: Path, content: bytes, word: str
) -> None:
    csr = tmp_path / "a.csr"
    csr.write_bytes(content)
    result = ddt(tmp_path / "home", "issue", "--csr", csr, "--out", tmp_path / "out.pem")
    assert result.returncode == 1
    assert word in result.stderr
    assert not (tmp_path / "out.pem").exists()


def test_a_request_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = ddt(tmp_path / "home", "issue", "--csr", tmp_path / "none", "--out", "x.pem")
    assert result.returncode == 1
    assert "cannot be read" in result.stderr


@pytest.mark.parametrize("serial", ["xyz", "0x", "", "g1", "../../x", "1" * 41])
def test_what_is_no_serial_number_is_told(tmp_path: Path, serial: str) -> None:
    result = ddt(tmp_path / "home", "show", serial)
    assert result.returncode == 1
    assert "neither a file nor a serial number" in result.stderr


@pytest.mark.parametrize("text", ["", "soon", "0d", "-1d", "1y", "2020-01-01", "999999w", "30 d"])
def test_an_expiry_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(TroubleError):
        expiry(text, now=NOW)


def test_an_expiry_is_a_span_or_a_date() -> None:
    assert expiry("30d", now=NOW) == NOW + timedelta(days=30)
    assert expiry("12h", now=NOW) == NOW + timedelta(hours=12)
    assert expiry("2130-01-31", now=NOW) == datetime(2130, 1, 31, tzinfo=UTC)


def test_help_shows_examples_for_every_command(tmp_path: Path) -> None:
    for command in ("up", "issue", "revoke", "logs", "token", "doctor", "trust", "restart"):
        shown = ddt(tmp_path, command, "--help").stdout
        assert "Example" in shown or command == "token", command


def test_a_home_with_a_long_path_gets_a_short_folder_for_its_sockets(tmp_path: Path) -> None:
    chosen = settings.Settings(tmp_path / ("x" * 120))
    assert len(os.fsencode(chosen.runtime)) <= 85
    assert settings.Settings(tmp_path / ("y" * 120)).runtime != chosen.runtime


def test_the_usual_ports_stay_unsaid(tmp_path: Path) -> None:
    chosen = settings.Settings(tmp_path, "pki.example", 443, 80)
    assert chosen.portal == "https://pkakey.pki.example"
    assert chosen.plain == "http://pkakey.pki.example"


@pytest.mark.parametrize("team", ["", "A", "1a", "../up", "a/b", "a b", "x" * 41, "é"])
def test_a_schema_with_a_bad_name_is_refused_before_anything_is_made(
    tmp_path: Path, team: str
) -> None:
    result = ddt(tmp_path / "home", "db", "new-schema", team)
    assert result.returncode == 1
    assert "1 to 40 lower-case letters" in result.stderr
    assert not (tmp_path / "home" / "secrets").exists()


def test_a_schema_needs_a_running_platform(tmp_path: Path) -> None:
    result = ddt(tmp_path / "home", "db", "new-schema", "fleet")
    assert result.returncode == 1
    assert "ddt up" in result.stderr
