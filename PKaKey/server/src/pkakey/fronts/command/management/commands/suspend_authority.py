"""`suspend_authority`: an authority issues nothing until key holders activate it."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from pkakey.fronts.command.services_of import services_of_process
from pkakey.services.errors import ServiceError
from pkakey.services.namespace_walk import each_namespace


class Command(BaseCommand):
    """The way back is the process `ca-activation`, and no command."""

    help = "Let an authority issue nothing; its CRLs and OCSP go on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which one."""
        parser.add_argument("authority", type=UUID, help="The authority's id.")
        parser.add_argument("--namespace", default="default")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature.
        """Do it."""
        found = [p for p in each_namespace("command") if p.namespace == options["namespace"]]
        if not found:
            raise CommandError(f"There is no namespace {options['namespace']!r}.")
        try:
            services_of_process().suspend_authority(
                principal=found[0], authority_id=options["authority"], now=datetime.now(tz=UTC)
            )
        except ServiceError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("Suspended. The process ca-activation activates it again.")
