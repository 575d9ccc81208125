"""`create_namespace`: a namespace that issues from the default issuing authority."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from pkakey.fronts.command.services_of import services_of_process
from pkakey.services.errors import ServiceError


class Command(BaseCommand):
    """Prints the new namespace's id."""

    help = "Create a namespace and print its id."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Its short name and its title."""
        parser.add_argument("slug")
        parser.add_argument("--name", default="")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature.
        """Do it."""
        try:
            namespace_id = services_of_process().create_namespace(
                slug=options["slug"],
                name=options["name"] or options["slug"],
                now=datetime.now(tz=UTC),
            )
        except ServiceError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(str(namespace_id))
