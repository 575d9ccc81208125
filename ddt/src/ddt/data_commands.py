"""The commands for the data API's database: a team's own schema."""

import re
import secrets
import subprocess
import sys
from typing import Annotated

import typer

from ddt import output, secret_files, settings
from ddt.errors import TroubleError
from ddt.native import environments

_SECONDS = 60
db_app = typer.Typer(
    no_args_is_help=True, help="The data API's database: a schema of one's own.",
    rich_markup_mode=None,
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(db_app, name="db")


@db_app.callback()
def db() -> None:
    """Group the commands for the data API's database."""


@db_app.command("new-schema", epilog="Example: ddt db new-schema fleet --namespace default")
def new_schema(
    team: Annotated[str, typer.Argument(help="The schema's name: letters, digits, underscores.")],
    *,
    namespace: Annotated[str, typer.Option(help="Whose tokens reach it.")] = "default",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a schema for a team's own tables; they are in the data API at once."""
    # Checked by the database as well; here since it becomes the name of a file.
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", team):
        raise TroubleError(
            f"A schema cannot be called {team[:63]!r}. Take 1 to 40 lower-case letters, digits and "
            "underscores, a letter first.",
        )
    chosen = settings.load()
    environment = environments.of_manage(chosen)
    password = chosen.secrets / f"team-{team.replace('_', '-')}-password"
    is_new = not password.exists()
    if is_new:
        password.touch(mode=0o600)
        password.write_text(f"{secrets.token_urlsafe(32)}\n", encoding="ascii")
    secret_files.read(chosen.secrets, password.name)
    result = subprocess.run(  # noqa: S603
        [
            sys.executable, "-m", "pesequel", "new-schema", team, "--namespace", namespace,
            "--password-file", str(password),
        ],
        env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS,
    )  # fmt: skip
    if result.returncode != 0:
        if is_new:
            password.unlink()
        raise TroubleError(result.stderr.strip().removeprefix("pesequel: "))
    owner = result.stdout.strip()
    if as_json:
        output.as_json({"schema": team, "namespace": namespace, "owner": owner,
                        "password_file": str(password), "url": f"{chosen.data}/"})  # fmt: skip
        return
    output.say(f"The schema {team} belongs to the namespace {namespace}. Its owner {owner} signs")
    output.say(f"in to the database pesequel with the password in {password}.")
    output.say(f"Its tables: {chosen.data}/TABLE with the header Accept-Profile: {team}")
