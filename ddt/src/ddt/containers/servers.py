"""The database servers in containers, spoken to by their own programs inside them.

Nothing of the host's is needed, and no port: psql, pg_dump and pg_restore talk over the server's
own socket, where the image lets its superuser in.
"""

import selectors
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ddt.containers.engine import Compose, last_words
from ddt.errors import TroubleError

SERVERS = ("pkakey_postgres", "pesequel_postgres", "quewall_postgres")
"""In the order of their dumps: the first feeds the second, whose lack is then in its outbox."""

_SECONDS = 6 * 3600.0
_ANSWER_SECONDS = 600.0
_DATABASES = """
SELECT datname FROM pg_database WHERE NOT datistemplate AND datallowconn AND datname <> 'postgres'
ORDER BY datname <> 'pkakey', datname
"""
_COUNTS = """
SELECT format('SELECT %L, count(*) FROM %I.%I', n.nspname || '.' || c.relname, n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY n.nspname, c.relname
\\gexec
"""
_TOOL = 'exec "$0" --username="$POSTGRES_USER" "$@"'
_PSQL = ("psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1")


@dataclass(frozen=True)
class Server:
    """One running database server of a compose project."""

    compose: Compose
    service: str

    def databases(self) -> list[str]:
        """Return every database that holds data of the platform."""
        return self.query("postgres", _DATABASES).split()

    def query(self, database: str, text: str) -> str:
        """Run SQL as the superuser and return the rows, fields with | between."""
        words = self._words(*_PSQL, f"--dbname={database}")
        return self.compose.run(*words, data=text.encode(), timeout=_SECONDS).decode()

    def dump_roles(self, target: Path) -> None:
        """Write the roles, their memberships and password verifiers as SQL."""
        self._to(target, "pg_dumpall", "--roles-only")

    def dump(self, database: str, target: Path) -> dict[str, int]:
        """Dump the database; return the rows of each table in that very snapshot."""
        with self._session(database) as ask:
            ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
            (snapshot,) = ask("SELECT pg_export_snapshot();")
            counts = dict(row.rsplit("|", 1) for row in ask(_COUNTS))
            self._to(
                target, "pg_dump", "--format=custom", f"--snapshot={snapshot}",
                f"--dbname={database}",
            )  # fmt: skip
        return {table: int(count) for table, count in counts.items()}

    def load_roles(self, source: Path) -> None:
        """Make the roles; those that are there get what the file says."""
        there = set(self.query("postgres", "SELECT rolname FROM pg_roles;").split())
        kept = [
            line
            for line in source.read_text(encoding="utf-8").splitlines()
            if not any(line in {f"CREATE ROLE {n};", f'CREATE ROLE "{n}";'} for n in there)
        ]
        self.query("postgres", "\n".join(kept))

    def load(self, source: Path) -> None:
        """Make the database as it was dumped; an empty one of that name goes."""
        words = self._words(
            "pg_restore", "--clean", "--if-exists", "--create", "--exit-on-error",
            "--dbname=postgres",
        )  # fmt: skip
        with source.open("rb") as stream:
            self.compose.run(*words, stdin=stream, timeout=_SECONDS)

    def _words(self, *tool: str) -> Sequence[str]:
        return ("exec", "-T", self.service, "sh", "-c", _TOOL, *tool)

    def _to(self, target: Path, *tool: str) -> None:
        with target.open("wb") as out:
            self.compose.run(*self._words(*tool), stdout=out, timeout=_SECONDS)

    @contextmanager
    def _session(self, database: str) -> "Iterator[_Session]":
        words = self._words(*_PSQL, f"--dbname={database}")
        process = subprocess.Popen(  # noqa: S603
            self.compose.words(*words), cwd=self.compose.folder, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            yield _Session(process)
        finally:
            if process.stdin:
                process.stdin.close()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()


class _Session:
    """A psql that stays open: its transaction holds the snapshot while a dump reads it."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def __call__(self, text: str) -> list[str]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise TroubleError("psql has no way to be spoken to. Run the command again.")
        mark = "--- ddt: done ---"
        try:
            stdin.write(f"{text}\n\\echo '{mark}'\n".encode())
            stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        found: list[str] = []
        buffer = b""
        deadline = time.monotonic() + _ANSWER_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while True:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TroubleError(
                        f"The database did not answer within {_ANSWER_SECONDS:.0f} s. "
                        "'docker compose ps' tells how it is; then try again.",
                    )
                octets = stdout.read1(65536)  # type: ignore[attr-defined]
                if not octets:
                    raise self._ended()
                *lines, buffer = (buffer + octets).split(b"\n")
                for line in lines:
                    if line.decode() == mark:
                        return found
                    found.append(line.decode())

    def _ended(self) -> TroubleError:
        said = self._process.stderr.read() if self._process.stderr else b""
        return TroubleError(
            f"psql ended before its time: {last_words(said)}. 'docker compose ps' tells how the "
            "database is; then try again.",
        )


def running(compose: Compose) -> list[Server]:
    """Return the servers; raises TroubleError when one does not run and is not healthy."""
    rows = {row.get("Service"): row for row in compose.containers()}
    for name in SERVERS:
        row = rows.get(name, {})
        if row.get("State") != "running" or row.get("Health") not in {"healthy", ""}:
            raise TroubleError(
                f"{name} does not run or is not well. Start the containers with 'ddt up --docker'; "
                "'docker compose ps' tells how they are.",
            )
    return [Server(compose, name) for name in SERVERS]
