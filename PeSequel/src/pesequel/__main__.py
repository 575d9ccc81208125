"""The command: `python -m pesequel migrate | new-schema | state | rebuild`.

`migrate` makes the database, runs what is missing of the migrations, and sets passwords and
issuers; `environment` lists its variables. Results go to standard output; a failure is one
sentence on standard error and exit code 1.
"""

import argparse
import json
import sys
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from pesequel import environment
from pesequel.database import DATABASE, LOGIN_ROLES, migrate
from pesequel.errors import TroubleError
from pesequel.teams import new_schema


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="pesequel", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="bring the database to the newest migration")
    team = commands.add_parser("new-schema", help="make a team's own schema, with an API")
    team.add_argument("team", help="the schema's name")
    team.add_argument("--namespace", required=True, help="whose it is")
    team.add_argument("--password-file", type=Path, required=True, help="its owner's password")
    commands.add_parser("state", help="print how far the inventory is, as JSON")
    commands.add_parser("rebuild", help="empty the inventory; the relay fills it again from zero")
    arguments = parser.parse_args()
    try:
        return _run(arguments)
    except TroubleError as error:
        sys.stderr.write(f"pesequel: {error}\n")
        return 1


def _run(arguments: argparse.Namespace) -> int:
    env = environment.load()
    match arguments.command:
        case "migrate":
            passwords = {role: env.password(role) for role in LOGIN_ROLES}
            said = migrate(env.admin_url, passwords=passwords, issuers=env.issuers)
            if not env.issuers:
                said += f"\n{environment.TOKEN_ISSUERS} is empty: the API takes no token."
            sys.stdout.write(f"{said or 'Nothing to migrate.'}\n")
        case "new-schema":
            password = _password(arguments.password_file)
            owner = new_schema(
                env.admin_url,
                team=arguments.team,
                namespace=arguments.namespace,
                password=password,
            )
            sys.stdout.write(f"{owner}\n")
        case "state":
            sys.stdout.write(json.dumps(_ask(env.admin_url, "SELECT * FROM inventory.state()")))
            sys.stdout.write("\n")
        case "rebuild":
            _ask(env.admin_url, "SELECT inventory.reset()")
            sys.stdout.write("The inventory is empty; the relay fills it again.\n")
    return 0


def _password(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise TroubleError(f"{file} cannot be read: {error.strerror}.") from error


def _ask(admin_url: str, question: str) -> dict[str, object]:
    try:
        with psycopg.connect(admin_url, dbname=DATABASE, row_factory=dict_row) as admin:
            row = admin.execute(question.encode()).fetchone()
    except psycopg.Error as error:
        raise TroubleError(f"The database {DATABASE} did not answer: {error}") from error
    return {name: str(value) if value is not None else None for name, value in (row or {}).items()}


if __name__ == "__main__":
    sys.exit(main())
