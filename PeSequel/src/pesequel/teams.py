"""A team's own schema, for people's own data beside the inventory."""

import psycopg

from pesequel.database import DATABASE, set_password
from pesequel.errors import TroubleError


def new_schema(
    admin_url: str, *, team: str, namespace: str, password: str, database: str = DATABASE
) -> str:
    """Make the schema `team` for a namespace and return the role that owns it and signs in.

    Its tables and functions are in the API at once. Doing it again only sets the password. Raises
    TroubleError with the database's own sentence for a bad name or an unknown namespace.
    """
    try:
        with psycopg.connect(admin_url, dbname=database) as admin:
            row = admin.execute("SELECT gate.new_schema(%s, %s)", [team, namespace]).fetchone()
            owner = str(row[0]) if row else ""
            set_password(admin, owner, password)
    except psycopg.Error as error:
        hint = f" {error.diag.message_hint}" if error.diag.message_hint else ""
        raise TroubleError(f"{error.diag.message_primary or error}{hint}") from error
    return owner
