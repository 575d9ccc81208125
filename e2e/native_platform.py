"""A real native platform for tests and benchmarks: `ddt up` in a home and on ports of its own."""

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ddt.native import postgresql
from ddt.settings import Settings
from psycopg import sql

DDT = Path(sys.executable).with_name("ddt")


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Platform:
    """One platform: its home, its ports, and the command that speaks to it."""

    home: Path
    https_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    domain: str = "theddt.localhost"
    database_url: str = field(default="", repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """The environment that `ddt` reads."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PKAKEY_")}
        kept.pop("DATABASE_URL", None)
        return {
            **kept,
            "DDT_HOME": str(self.home),
            "DDT_DOMAIN": self.domain,
            "DDT_HTTPS_PORT": str(self.https_port),
            "DDT_HTTP_PORT": str(self.http_port),
            "COLUMNS": "160",
            **({"DATABASE_URL": self.database_url} if self.database_url else {}),
        }

    def ddt(
        self, *arguments: str | Path, check: bool = True, timeout: float = 180, token: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run `ddt`; a failed command shows what it printed."""
        result = subprocess.run(
            [DDT, *map(str, arguments)],
            env=self.environment | ({"DDT_TOKEN": token} if token else {}),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        if check and result.returncode != 0:
            pytest.fail(
                f"ddt {arguments} ended with {result.returncode}: {result.stdout}{result.stderr}"
            )
        return result

    def status(self) -> dict[str, Any]:
        """Return what `ddt status --json` says."""
        answer: dict[str, Any] = json.loads(self.ddt("status", "--json", check=False).stdout)
        return answer

    def token(self, *scopes: str, expires: str = "1d") -> str:
        """Return a new API token with these scopes."""
        options = [word for scope in scopes for word in ("--scope", scope)]
        name = f"e2e-{'-'.join(scopes)}".replace(":", "-")
        return self.ddt(
            "token", "create", "--name", name, *options, "--expires", expires
        ).stdout.strip()

    def person(self, username: str, *roles: str, namespace: str = "default") -> str:
        """Add a person with these roles and return their one-time password."""
        words = [word for role in roles for word in ("--role", role)]
        return self.ddt(
            "manage", "create_user", username, f"{username}@example.test", *words,
            "--namespace", namespace,
        ).stdout.strip()  # fmt: skip

    def count(self) -> dict[str, int]:
        """Return how many rows the tables have that an issuance writes to, of all namespaces."""
        password = (self.home / "secrets" / "postgres-password").read_text().strip()
        runtime = Settings(self.home).runtime
        address = postgresql.url(runtime, user="postgres", password=password, database="pkakey")
        tables = ("certificates_intent", "certificates_certificate", "audit_entry")
        with psycopg.connect(address) as connection:
            return {
                table: connection.execute(
                    sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
                ).fetchone()[0]  # type: ignore[index]
                for table in tables
            }

    def root(self) -> Path:
        """Return the file with the root certificate, printed by `ddt trust`."""
        path = self.home.parent / "root.pem"
        path.write_text(self.ddt("trust", "--print").stdout)
        return path

    def curl(self, url: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
        """Fetch a URL of the platform with the real curl, trusting only the platform's root."""
        if shutil.which("curl") is None:
            if os.environ.get("CI"):
                pytest.fail("CI must have curl: apt-get install curl")
            pytest.skip("there is no curl on PATH: apt-get install curl")
        hosts = [
            word
            for name in (self.domain, f"pkakey.{self.domain}")
            for port in (self.https_port, self.http_port)
            for word in ("--resolve", f"{name}:{port}:127.0.0.1")
        ]
        trust = ["--cacert", str(self.root())]
        words = ["curl", "-sS", "--noproxy", "*", "--max-time", "30", *trust, *hosts]
        return subprocess.run(
            [*words, *map(str, options), url],
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def portal(self) -> str:
        """The portal's address without a path."""
        return f"https://pkakey.{self.domain}:{self.https_port}"


def make_csr(folder: Path, name: str, *, key: str = "ec") -> tuple[Path, Path]:
    """Make a key and a request for one DNS name with the real openssl; return both files."""
    key_file, csr_file = folder / f"{name}.key", folder / f"{name}.csr"
    algorithm = {
        "ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "rsa": ["-newkey", "rsa:2048"],
        "weak": ["-newkey", "rsa:1024"],
        "ed25519": ["-newkey", "ed25519"],
    }[key]
    openssl(
        "req", "-new", *algorithm, "-nodes", "-keyout", key_file, "-out", csr_file,
        "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
    )  # fmt: skip
    return key_file, csr_file


def openssl(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the real openssl command."""
    return subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, check=check
    )
