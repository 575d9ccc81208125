"""Django's command line: `python -m koolflows.config.manage COMMAND`."""

import os
import sys

from django.core.management import execute_from_command_line

# These change tables, so they connect as the owner of the tables.
OWNERS_COMMANDS = frozenset({"migrate", "makemigrations", "sqlmigrate", "showmigrations"})


def main() -> None:
    """Run the command that the arguments name."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "koolflows.config.settings")
    if len(sys.argv) > 1 and sys.argv[1] in OWNERS_COMMANDS:
        os.environ["KOOLFLOWS_MIGRATING"] = "1"
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
