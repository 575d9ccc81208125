"""`create_user`: a person with a one-time password."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from pkakey.fronts.command.services_of import services_of_process
from pkakey.services.errors import ServiceError


class Command(BaseCommand):
    """Prints the one-time password, which must be changed at the first sign-in."""

    help = "Create a person and print a one-time password."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Who, with which roles, where."""
        parser.add_argument("username")
        parser.add_argument("email")
        parser.add_argument("--role", action="append", default=[], dest="roles")
        parser.add_argument("--namespace", default="default")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature.
        """Do it."""
        try:
            password = services_of_process().create_user(
                username=options["username"],
                email=options["email"],
                roles=options["roles"],
                namespace=options["namespace"],
                now=datetime.now(tz=UTC),
            )
        except ServiceError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(password)
