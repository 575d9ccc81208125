"""The real signer process and a small database of intents, for tests."""

import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import psycopg

from pkakey_signers.client import SignerClient
from pkakey_signers.log import LogEntry, read_entries

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


@dataclass
class IntentDatabase:
    """A database of the test run with the function that the signer calls."""

    url: str
    signer_url: str
    password_file: Path

    def record(
        self, tbs: bytes, key_id: UUID, *, kind: str = "certificate", state: str = "open"
    ) -> UUID:
        """Record an intent for these bytes."""
        intent_id = uuid4()
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO intents.intent VALUES (%s, %s, %s, sha256(%s), %s)",
                (intent_id, key_id, kind, tbs, state),
            )
        return intent_id

    def execute(self, query: str) -> None:
        """Run SQL as the owner."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(query.encode())


def with_parts(url: str, *, database: str, role: str | None = None) -> str:
    """Return the URL with another database, and with another role when one is named."""
    parts = urlsplit(url)
    location = parts.netloc
    if role is not None:
        location = f"{role}@{location.rpartition('@')[2]}"
    return urlunsplit(parts._replace(netloc=location, path=f"/{database}"))


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
        """The Unix socket."""
        return self.folder / "signer.sock"

    @property
    def keystore(self) -> Path:
        """The folder of sealed keys."""
        return self.folder / "keystore"

    @property
    def kek_file(self) -> Path:
        """The key-encryption key's file."""
        return self.folder / "kek"

    @property
    def log_path(self) -> Path:
        """The log of certificates and CRLs."""
        return self.folder / "signatures.log"

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._running().pid

    def command(self) -> list[str]:
        """Return the command line."""
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
        """Start it and wait until it listens."""
        with (self.folder / "stderr").open("ab") as output:
            self.process = subprocess.Popen(self.command(), stderr=output)  # noqa: S603  # Ours.
        deadline = monotonic() + 30
        while monotonic() < deadline:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(self.socket_path))
                except OSError:
                    if self.process.poll() is not None:
                        raise RuntimeError(f"The signer did not start: {self.said()}") from None
                    sleep(0.02)
                else:
                    return self
        raise RuntimeError("The signer did not listen in time.")

    def refuse_to_start(self) -> str:
        """Start it, expect that it ends at once, and return what it said."""
        done = subprocess.run(  # noqa: S603  # Ours.
            self.command(), capture_output=True, timeout=30, check=False
        )
        said = done.stderr.decode()
        if done.returncode != 1 or "Traceback" in said:
            raise RuntimeError(f"It should have refused to start with a sentence: {said}")
        return said

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it, wait for its end and return its exit code."""
        process = self._running()
        if process.poll() is None:
            process.send_signal(number)
        code = process.wait(20)
        self.process = None
        return code

    def restart(self) -> "SignerProcess":
        """Stop it cleanly and start it again."""
        self.stop()
        return self.start()

    def client(self, timeout_seconds: float = 20.0) -> SignerClient:
        """Return a new client."""
        return SignerClient(self.socket_path, timeout_seconds=timeout_seconds)

    def said(self) -> str:
        """Return what it wrote to its standard error."""
        return (self.folder / "stderr").read_text()

    def entries(self) -> list[LogEntry]:
        """Return the log's entries, the chain checked."""
        return list(read_entries(self.log_path))

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            raise RuntimeError("The signer was not started.")
        return self.process
