"""`reset_admin_password`: a new one-time password for somebody who lost theirs."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from pkakey.fronts.command.services_of import services_of_process
from pkakey.services.errors import ServiceError


class Command(BaseCommand):
    """Prints the one-time password, which must be changed at the next sign-in."""

    help = "Give a person (admin, unless named) a new one-time password and print it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose password."""
        parser.add_argument("username", nargs="?", default="admin")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature.
        """Do it."""
        try:
            password = services_of_process().reset_password(
                username=options["username"], now=datetime.now(tz=UTC)
            )
        except ServiceError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(password)
