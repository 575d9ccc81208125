"""The `ddt` command: its entry point and how failures are told."""

import os
import sys

import typer

from ddt import (
    backup_commands,
    certificate_commands,
    data_commands,
    output,
    platform_commands,
    request_commands,
    rotation_commands,
)
from ddt.errors import TroubleError

app = typer.Typer(
    name="ddt",
    help="Prepare, start, check and use theDDT. 'ddt COMMAND --help' has examples.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
platform_commands.register(app)
certificate_commands.register(app)
request_commands.register(app)
backup_commands.register(app)
data_commands.register(app)
rotation_commands.register(app)


def main() -> None:
    """Run the command; a failure is one sentence on standard error and exit code 1."""
    try:
        app()
    except TroubleError as error:
        if "--json" in sys.argv:
            output.as_json(error.problem or {"title": "ddt could not do it", "detail": str(error)})
        output.note(f"ddt: {error}")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader (head, less) has enough; nothing is left to say to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        output.note(
            f"ddt: {error.strerror or error}{where}. Check the permissions and the free space; "
            "'ddt doctor' looks at both.",
        )
        sys.exit(1)
