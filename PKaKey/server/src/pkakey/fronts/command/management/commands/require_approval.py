"""`require_approval`: let a profile need a process of KoolFlows before anything is signed."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from pkakey.fronts.command.services_of import services_of_process
from pkakey.services.errors import ServiceError


class Command(BaseCommand):
    """Publishes the next version of the profile; requests that wait have to be made anew."""

    help = "Let a profile need an approval: require_approval tls-server certificate-approval-one"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the profile, the diagram or --none, and the namespace."""
        parser.add_argument("profile")
        parser.add_argument("diagram", nargs="?", help="The key of a diagram of KoolFlows.")
        parser.add_argument("--none", action="store_true", help="Need no approval any more.")
        parser.add_argument("--namespace", default="default")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature.
        """Do it."""
        diagram: str | None = options["diagram"]
        if (diagram is None) != options["none"]:
            raise CommandError("Name a diagram, or say --none.")
        try:
            version = services_of_process().require_approval(
                namespace=options["namespace"],
                profile=options["profile"],
                diagram=diagram,
                now=datetime.now(tz=UTC),
            )
        except ServiceError as error:
            raise CommandError(str(error)) from error
        needs = f"needs {diagram}" if diagram else "needs no approval"
        self.stdout.write(f"{options['profile']} version {version} {needs}.")
