"""`grants`: list what needs no further approval, or withdraw a grant."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from pkakey.fronts.command.services_of import services_of_process
from pkakey.services.errors import ServiceError


class Command(BaseCommand):
    """Grants are made by the process `namespace-grant`; here they are looked at and ended."""

    help = "List the grants of a namespace, or withdraw one: grants --withdraw ID"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the grant to withdraw, and the namespace."""
        parser.add_argument("--withdraw", type=UUID, metavar="ID")
        parser.add_argument("--namespace", default="default")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature.
        """Do it."""
        flows, now = services_of_process().flows, datetime.now(tz=UTC)
        namespace, grant_id = options["namespace"], options["withdraw"]
        try:
            if grant_id is not None:
                flows.withdraw(namespace=namespace, grant_id=grant_id, now=now)
                self.stdout.write(f"{grant_id} is withdrawn: later requests need people again.")
                return
            for one in flows.grants(namespace=namespace):
                state = "withdrawn" if one.withdrawn_at else "over" if one.until <= now else "open"
                self.stdout.write(
                    f"{one.id}  {state}  {one.pattern}  {one.profile}  until {one.until:%Y-%m-%d}"
                )
        except ServiceError as error:
            raise CommandError(str(error)) from error
