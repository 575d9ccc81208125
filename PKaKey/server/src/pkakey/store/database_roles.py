"""The database and its roles, made once by an administrator; migrations do the rest.

| role | may |
| --- | --- |
| pkakey_owner | own the schema; used by migrations only; bound by row-level security like all |
| pkakey_web, pkakey_worker | what the grants in the migrations say, inside one namespace |
| pkakey_status | call the functions of the schema `status` |
| pkakey_signer | call `intents.signing_intent` |
| pkakey_functions | nobody signs in as it: owns the functions that write, bound to one namespace |
| pkakey_lookup | nobody signs in as it: owns the few functions that read across namespaces |
| pkakey_relay | nobody signs in as it: owns the functions that feed the inventory |
"""

from collections.abc import Mapping
from typing import Final, LiteralString

import psycopg
from psycopg import sql

LOGIN_ROLES: Final[tuple[LiteralString, ...]] = (
    "pkakey_owner",
    "pkakey_web",
    "pkakey_worker",
    "pkakey_status",
    "pkakey_signer",
)
FUNCTION_ROLES: Final[tuple[LiteralString, ...]] = (
    "pkakey_functions",
    "pkakey_lookup",
    "pkakey_relay",
)
# Any constant: two starts at once must not both find a role missing.
_LOCK: Final = 0x7468_6544_4454


def ensure_roles(admin_url: str, passwords: Mapping[str, str], *, database: str = "pkakey") -> None:
    """Create what is missing of the database and its roles, and set the passwords.

    `admin_url` names a server as an administrator; `passwords` maps each of `LOGIN_ROLES` to its
    password. Raises KeyError for a missing password and psycopg's errors.
    """
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        for role in LOGIN_ROLES:
            _ensure_role(admin, role, "LOGIN", passwords[role])
        for role in FUNCTION_ROLES:
            _ensure_role(admin, role, "NOLOGIN", None)
            # So that the owner can hand functions over. NOINHERIT: it gains no policy by it.
            admin.execute(sql.SQL("GRANT {} TO pkakey_owner").format(sql.Identifier(role)))
        if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
            admin.execute(
                sql.SQL("CREATE DATABASE {} OWNER pkakey_owner TEMPLATE template0").format(
                    sql.Identifier(database)
                )
            )
        admin.execute(
            sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database))
        )
        admin.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
                sql.Identifier(database),
                sql.SQL(", ").join(sql.Identifier(role) for role in LOGIN_ROLES),
            )
        )
    with psycopg.connect(admin_url, dbname=database, autocommit=True) as inside:
        inside.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        inside.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        inside.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        inside.execute("GRANT USAGE, CREATE ON SCHEMA public TO pkakey_owner")
        inside.execute(
            "GRANT USAGE ON SCHEMA public "
            "TO pkakey_web, pkakey_worker, pkakey_functions, pkakey_lookup, pkakey_relay"
        )


def _ensure_role(
    admin: psycopg.Connection[tuple[object, ...]],
    role: LiteralString,
    login: LiteralString,
    password: str | None,
) -> None:
    exists = admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    admin.execute(
        sql.SQL(
            "{} ROLE {} {} NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOBYPASSRLS PASSWORD {}"
        ).format(
            sql.SQL("ALTER" if exists else "CREATE"),
            sql.Identifier(role),
            sql.SQL(login),
            sql.Literal(password),
        )
    )
