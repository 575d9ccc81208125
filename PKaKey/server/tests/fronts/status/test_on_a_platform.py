"""The status process as it runs: granian, its own database role, the real signer, openssl."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from PKaKey.server.tests.fronts.status.test_real_clients import openssl


@pytest.fixture
def process(
    platform: Any, role_dsn: Callable[[str], str], signer_process: Path, tmp_path: Path
) -> Iterator[tuple[str, int]]:
    """The status process; yields its address and the process id of granian."""
    key = tmp_path / "unused-secret-key"
    key.write_text("for tests only, and as long as a real one has to be, but public")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "PKAKEY_DATABASE_URL": role_dsn("pkakey_status"),
        "PKAKEY_REDIS_URL": "redis://127.0.0.1:1/0",
        "PKAKEY_SIGNER_SOCKET": str(signer_process / "signer.sock"),
        "PKAKEY_SECRET_KEY_FILE": str(key),
    }
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    granian = subprocess.Popen(
        [
            *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws"),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", "2"),
            # A worker that is still starting may miss the signal to stop.
            *("--workers-kill-timeout", "2", "--blocking-threads", "4"),
            *("--log-level", "warning", "pkakey.config.status_wsgi:application"),
        ],
        env=environment,
    )
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=5):  # noqa: S310  # Loopback.
                break
        except OSError:
            if granian.poll() is not None or time.monotonic() > deadline:
                granian.kill()
                pytest.fail("The status process did not become ready.")
            time.sleep(0.05)
    yield address, granian.pid
    granian.send_signal(signal.SIGTERM)
    granian.wait(20)


@pytest.fixture
def files(platform: Any, tmp_path: Path) -> dict[str, Path]:
    """The authorities' certificates and one fresh certificate, as files for openssl."""
    issued = platform.issue("status.example.test")
    issuing, root = issued.chain[0], issued.chain[-1]
    paths = {name: tmp_path / f"{name}.pem" for name in ("leaf", "issuing", "root")}
    for path, text in zip(paths.values(), (issued.pem, issuing, root), strict=True):
        path.write_text(text)
    return paths


def serial(leaf: Path) -> str:
    shown = openssl("x509", "-in", leaf, "-noout", "-serial")
    return f"{int(shown.strip().removeprefix('serial='), 16):x}"


def ask(address: str, files: dict[str, Path], *more: str) -> str:
    return openssl(
        "ocsp", "-issuer", files["issuing"], "-cert", files["leaf"], "-CAfile", files["root"],
        "-url", f"{address}/ocsp", *more,
    )  # fmt: skip


def fetch(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310  # Loopback.
        body: bytes = answer.read()
        return body


def test_a_revocation_is_seen_at_once_by_ocsp_in_every_worker_and_by_the_crl(
    platform: Any, process: tuple[str, int], files: dict[str, Path], tmp_path: Path
) -> None:
    address, _ = process
    for more in ((), ("-no_nonce",)) * 4:
        said = ask(address, files, *more)
        assert "Response verify OK" in said
        assert "leaf.pem: good" in said
    platform.services.revoke_certificate(
        principal=platform.admin,
        serial_number=serial(files["leaf"]),
        reason="keyCompromise",
        now=platform.now,
    )
    for more in ((), ("-no_nonce",)) * 4:
        said = ask(address, files, *more)
        assert "Response verify OK" in said
        assert "leaf.pem: revoked" in said
        assert "Reason: keyCompromise" in said
    (tmp_path / "list.der").write_bytes(fetch(f"{address}/crl/{platform.issuing_id}.crl"))
    openssl("crl", "-inform", "DER", "-in", tmp_path / "list.der", "-out", tmp_path / "list.pem")
    verified = openssl(
        "verify", "-crl_check", "-CRLfile", tmp_path / "list.pem", "-CAfile", files["root"],
        "-untrusted", files["issuing"], files["leaf"],
    )  # fmt: skip
    assert "certificate revoked" in verified


def test_the_root_answers_for_the_issuing_authority(
    process: tuple[str, int], files: dict[str, Path]
) -> None:
    said = openssl(
        "ocsp", "-issuer", files["root"], "-cert", files["issuing"], "-CAfile", files["root"],
        "-url", f"{process[0]}/ocsp",
    )  # fmt: skip
    assert "Response verify OK" in said
    assert "issuing.pem: good" in said


def test_an_unknown_serial_is_unknown(process: tuple[str, int], files: dict[str, Path]) -> None:
    said = openssl(
        "ocsp", "-issuer", files["issuing"], "-serial", "0x1234567890abcdef", "-CAfile",
        files["root"], "-url", f"{process[0]}/ocsp",
    )  # fmt: skip
    assert "Response verify OK" in said
    assert "0x1234567890abcdef: unknown" in said


def test_the_authorities_certificates_are_served(
    platform: Any, process: tuple[str, int], files: dict[str, Path]
) -> None:
    address, _ = process
    assert fetch(f"{address}/ca/{platform.issuing_id}.pem").decode() == files["issuing"].read_text()
    assert fetch(f"{address}/ca/{platform.root_id}.pem").decode() == files["root"].read_text()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetch(f"{address}/ca/00000000-0000-4000-8000-000000000000.cer")


def test_the_connections_come_back_after_the_database_dropped_them(
    process: tuple[str, int], files: dict[str, Path], admin_connection: Any
) -> None:
    assert "leaf.pem: good" in ask(process[0], files)
    admin_connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pkakey_status'"
        " AND datname = current_database()"
    )
    for _ in range(8):
        assert "leaf.pem: good" in ask(process[0], files)


def test_its_database_role_may_do_nothing_else(
    role_dsn: Callable[[str], str], platform: Any
) -> None:

    with psycopg.connect(role_dsn("pkakey_status"), autocommit=True) as connection:
        for table in ("certificates_certificate", "authorities_authority", "tokens_token"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT 1 FROM public.{table}")  # noqa: S608  # Names of our own.
