"""The passwords of the database's roles.

PostgreSQL knows one password for each role, and asks for it when a connection begins: those that
are open stay. Between its change and that of the file, `settle` finishes what was cut off before a
service starts, so that no start finds the two different.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from ddt import secret_files
from ddt.errors import TroubleError
from ddt.native import postgresql
from ddt.rotation.journal import NEXT, Journal, exclusively
from ddt.settings import Settings

SUPERUSER = "postgres-password"
ROLES = {
    SUPERUSER: postgresql.SUPERUSER,
    "pkakey-owner-password": "pkakey_owner",
    "pkakey-web-password": "pkakey_web",
    "pkakey-worker-password": "pkakey_worker",
    "pkakey-status-password": "pkakey_status",
    "pkakey-signer-password": "pkakey_signer",
    "pesequel-authenticator-password": "authenticator",
    "pesequel-relay-password": "inventory_writer",
    "pesequel-pgadmin-password": "pgadmin",
    "koolflows-owner-password": "koolflows_owner",
    "koolflows-web-password": "koolflows_web",
    "koolflows-worker-password": "koolflows_worker",
}


def change(settings: Settings, name: str) -> None:
    """Give the role its new password, then make the file say so; can be done again anywhere.

    Raises TroubleError when the server does not let us in.
    """
    journal = Journal(settings.secrets)
    new = journal.begin(name)
    with administrator(settings) as connection:
        role = ROLES[name]
        # The server is sent what it keeps (RFC 5803), so that no log of it can hold the password.
        verifier = connection.pgconn.encrypt_password(new.encode(), role.encode(), b"scram-sha-256")
        connection.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                sql.Identifier(role), sql.Literal(verifier.decode())
            )
        )
    journal.switch(name)


def settle(settings: Settings) -> None:
    """Finish the changes that were cut off between server and file."""
    for name in Journal(settings.secrets).unfinished():
        if name in ROLES and Journal(settings.secrets).has_begun(name):
            change(settings, name)


def settle_before_start(settings: Settings) -> None:
    """Do so before a service starts, unless a rotation is under way; a failure is only logged.

    The service's own start tells then whether it can do without.
    """
    journal = Journal(settings.secrets)
    if not any(journal.has_begun(name) for name in ROLES):
        return
    try:
        with exclusively(settings.home, wait_seconds=0):
            settle(settings)
    except (TroubleError, psycopg.Error, OSError) as error:
        logging.getLogger(__name__).warning("a rotation is not finished here: %s", error)


@contextmanager
def administrator(settings: Settings) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Yield a connection of the superuser, whose own password may be the one that is changing."""
    if settings.database_url:
        addresses = [settings.database_url]
    else:
        names = [SUPERUSER]
        if Journal(settings.secrets).has_begun(SUPERUSER):
            names.append(f"{SUPERUSER}{NEXT}")
        addresses = [
            postgresql.url(
                settings.runtime,
                user=postgresql.SUPERUSER,
                password=secret_files.read(settings.secrets, name),
            )
            for name in names
        ]
    failure: psycopg.Error | None = None
    for address in addresses:
        try:
            connection = psycopg.connect(address, autocommit=True)
        except psycopg.OperationalError as error:
            failure = error
            continue
        with connection:
            yield connection
        return
    raise TroubleError(
        f"The database server does not let ddt in: {failure}. 'ddt status' and 'ddt logs "
        "postgresql' tell more. Nothing was changed.",
    ) from failure
