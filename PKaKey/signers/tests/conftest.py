"""The real signer over a real socket, with a real PostgreSQL."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import psycopg
import pytest
from authority_builders import Authority, make_root
from pkakey_signers.client import SignerClient, SignerUnavailable
from pkakey_signers.log import LogEntry, read_entries
from psycopg import sql

SCHEMA = """
CREATE SCHEMA intents;
CREATE TABLE intents.intent (
    id uuid PRIMARY KEY, authority_key_id uuid NOT NULL, kind text NOT NULL,
    tbs_sha256 bytea NOT NULL, state text NOT NULL
);
CREATE FUNCTION intents.signing_intent(intent_id uuid)
    RETURNS TABLE (authority_key_id uuid, kind text, tbs_sha256 bytea, state text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = intents
    AS $$ SELECT authority_key_id, kind, tbs_sha256, state FROM intents.intent WHERE id = $1 $$;
"""


@pytest.fixture(scope="session")
def database_admin_url(request: pytest.FixtureRequest) -> str:
    """A PostgreSQL superuser's URL, from the environment."""
    url = os.environ.get("THEDDT_TEST_DATABASE_URL")
    if not url:
        pytest.fail(
            "These tests need a PostgreSQL server: set THEDDT_TEST_DATABASE_URL to a superuser's "
            "URL, or run them by 'make test'."
        )
    return url


@dataclass
class IntentDatabase:
    """A database of the test run with the function that the signer calls."""

    url: str
    signer_url: str
    password_file: Path

    def record(
        self, tbs: bytes, key_id: UUID, *, kind: str = "certificate", state: str = "open"
    ) -> UUID:
        intent_id = uuid4()
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO intents.intent VALUES (%s, %s, %s, sha256(%s), %s)",
                (intent_id, key_id, kind, tbs, state),
            )
        return intent_id

    def execute(self, query: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(query.encode())


def with_parts(url: str, *, database: str, role: str | None = None) -> str:
    parts = urlsplit(url)
    location = parts.netloc
    if role is not None:
        location = f"{role}@{location.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=location, path=f"/{database}"))


@pytest.fixture(scope="session")
def intent_database(
    database_admin_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[IntentDatabase]:
    name = f"h_signers_{secrets.token_hex(6)}"
    password = secrets.token_hex(16)
    identifier = sql.Identifier(name)
    password_file = tmp_path_factory.mktemp("database") / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password + "\n")
    with psycopg.connect(database_admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
        admin.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(identifier, sql.Literal(password))
        )
    url = with_parts(database_admin_url, database=name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA)
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA intents TO {}").format(identifier))
    yield IntentDatabase(
        url, with_parts(database_admin_url, database=name, role=name), password_file
    )
    with psycopg.connect(database_admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))
        admin.execute(sql.SQL("DROP ROLE {}").format(identifier))


@dataclass
class SignerProcess:
    """``python -m pkakey_signers`` with a folder of its own."""

    folder: Path
    database: IntentDatabase
    options: list[str] = field(default_factory=list)
    database_url: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket_path(self) -> Path:
        return self.folder / "signer.sock"

    @property
    def keystore(self) -> Path:
        return self.folder / "keystore"

    @property
    def kek_file(self) -> Path:
        return self.folder / "kek"

    @property
    def log_path(self) -> Path:
        return self.folder / "signatures.log"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "pkakey_signers"),
            *("--socket", str(self.socket_path)),
            *("--keystore", str(self.keystore)),
            *("--kek-file", str(self.kek_file)),
            *("--log", str(self.log_path)),
            *("--database-url", self.database_url or self.database.signer_url),
            *("--database-password-file", str(self.database.password_file)),
            *self.options,
        ]

    def start(self) -> "SignerProcess":
        with (self.folder / "stderr").open("ab") as output:
            self.process = subprocess.Popen(self.command(), stderr=output)
        deadline = monotonic() + 30
        while monotonic() < deadline:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(self.socket_path))
                except OSError:
                    if self.process.poll() is not None:
                        pytest.fail(f"The signer did not start: {self.said()}")
                    sleep(0.02)
                else:
                    return self
        pytest.fail("The signer did not listen in time.")

    def refuse_to_start(self) -> str:
        """Start it, expect that it ends at once, and return what it said."""
        done = subprocess.run(self.command(), capture_output=True, timeout=30, check=False)
        said = done.stderr.decode()
        assert done.returncode == 1, said
        assert "Traceback" not in said
        return said

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(20)
        self.process = None
        return code

    def restart(self) -> "SignerProcess":
        self.stop()
        return self.start()

    def client(self, timeout_seconds: float = 20.0) -> SignerClient:
        return SignerClient(self.socket_path, timeout_seconds=timeout_seconds)

    def said(self) -> str:
        return (self.folder / "stderr").read_text()

    def entries(self) -> list[LogEntry]:
        return list(read_entries(self.log_path))


@pytest.fixture
def make_signer(intent_database: IntentDatabase) -> Iterator[Callable[..., SignerProcess]]:
    """Make signers (not started) in short folders: a socket's path has at most 107 octets."""
    made: list[SignerProcess] = []

    def make(*options: str) -> SignerProcess:
        folder = Path(tempfile.mkdtemp(prefix="signer-"))
        signer = SignerProcess(folder, intent_database, list(options))
        signer.kek_file.touch(mode=0o600)
        signer.kek_file.write_text(secrets.token_hex(32) + "\n")
        made.append(signer)
        return signer

    yield make
    for signer in made:
        if signer.process is not None:
            signer.stop(signal.SIGKILL)
        shutil.rmtree(signer.folder)


@pytest.fixture
def signer(make_signer: Callable[..., SignerProcess]) -> SignerProcess:
    return make_signer().start()


@pytest.fixture
def client(signer: SignerProcess) -> Iterator[SignerClient]:
    with signer.client() as client:
        yield client


@pytest.fixture
def root(client: SignerClient, intent_database: IntentDatabase) -> Authority:
    """An active self-signed root, whose certificate the signer itself signed."""
    return make_root(client, intent_database)


__all__ = ["SignerUnavailable"]
