"""Every database of the native PostgreSQL server, out and in again, with its own tools."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from ddt import secret_files
from ddt.errors import TroubleError
from ddt.native import postgresql
from ddt.settings import Settings

FIRST = "pkakey"
"""Dumped before those that it feeds: what they lack is then still in its outbox."""

_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1, 2
"""
_SECONDS = 6 * 3600


@dataclass(frozen=True)
class Server:
    """A running native server, spoken to as its superuser."""

    settings: Settings

    def _url(self, database: str) -> str:
        password = secret_files.read(self.settings.secrets, "postgres-password")
        return postgresql.url(
            self.settings.runtime, user=postgresql.SUPERUSER, password=password, database=database
        )

    def connect(self, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        """Return a connection; raises TroubleError when the server does not let us in."""
        try:
            return psycopg.connect(self._url(database))
        except psycopg.OperationalError as error:
            raise TroubleError(
                f"The database server does not let ddt in: {error}. 'ddt status' and 'ddt logs "
                "postgresql' tell more.",
            ) from error

    def databases(self) -> list[str]:
        """Return every database that holds data of the platform, in the order of their dumps."""
        with self.connect("postgres") as connection:
            rows = connection.execute(
                "SELECT datname FROM pg_database WHERE NOT datistemplate AND datallowconn "
                "AND datname <> 'postgres' ORDER BY datname <> %s, datname",
                [FIRST],
            ).fetchall()
        return [row[0] for row in rows]

    def dump_roles(self, target: Path) -> None:
        """Write the roles, their memberships and password verifiers as SQL."""
        self._tool("pg_dumpall", "--roles-only", f"--file={target}")

    def dump(self, database: str, target: Path) -> dict[str, int]:
        """Dump the database; return the rows of each table in that very snapshot."""
        with self.connect(database) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            row = connection.execute("SELECT pg_export_snapshot()").fetchone()
            counts = count_rows(connection)
            self._tool(
                "pg_dump", "--format=custom", f"--snapshot={row[0] if row else ''}",
                f"--file={target}", f"--dbname={database}",
            )  # fmt: skip
        return counts

    def load_roles(self, source: Path) -> None:
        """Make the roles; those that are there get what the file says."""
        with self.connect("postgres") as connection:
            there = {r[0] for r in connection.execute("SELECT rolname FROM pg_roles").fetchall()}
        lines = source.read_text(encoding="utf-8").splitlines()
        kept = [
            line
            for line in lines
            if not any(line in {f"CREATE ROLE {n};", f'CREATE ROLE "{n}";'} for n in there)
        ]
        self._tool(
            "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname=postgres",
            data="\n".join(kept).encode(),
        )  # fmt: skip

    def load(self, source: Path) -> None:
        """Make the database as it was dumped, with its owner and its rights."""
        self._tool("pg_restore", "--create", "--exit-on-error", "--dbname=postgres", str(source))

    def _tool(self, name: str, *arguments: str, data: bytes | None = None) -> None:
        password = secret_files.read(self.settings.secrets, "postgres-password")
        result = subprocess.run(  # noqa: S603
            [
                str(postgresql.binaries() / name), "--no-password",
                f"--host={self.settings.runtime}", f"--port={postgresql.PORT}",
                f"--username={postgresql.SUPERUSER}", *arguments,
            ],
            input=data, stdin=subprocess.DEVNULL if data is None else None,
            check=False, capture_output=True, timeout=_SECONDS,
            env={**postgresql.environment(), "PGPASSWORD": password},
        )  # fmt: skip
        if result.returncode != 0:
            said = result.stderr.decode("utf-8", errors="replace").strip().splitlines()
            raise TroubleError(
                f"{name} failed: {' / '.join(said[-3:]) or 'it gave no reason'}. Check the free "
                "space and 'ddt logs postgresql', then try again.",
            )


def count_rows(connection: psycopg.Connection[tuple[Any, ...]]) -> dict[str, int]:
    """Return the number of rows of each table outside PostgreSQL's own schemas."""
    counts = {}
    for schema, table in connection.execute(_TABLES).fetchall():
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
        row = connection.execute(query).fetchone()
        counts[f"{schema}.{table}"] = int(row[0]) if row else 0
    return counts


def rows(
    connection: psycopg.Connection[tuple[Any, ...]], query: LiteralString, *values: object
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows without keeping all of them in memory."""
    with connection.cursor(name="ddt") as cursor:
        cursor.execute(query, values)
        yield from cursor


def room_for(folder: Path) -> int:
    """Return how many octets a folder's files have."""
    return sum(
        (Path(where) / name).lstat().st_size
        for where, _, names in os.walk(folder)
        for name in names
    )
