"""`grants`: list what needs no further approval, or withdraw a grant."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from pkakey.fronts.command.services_of import services_of_process
from pkakey.selectors.grants import STATES, list_grants
from pkakey.services.errors import ServiceError
from pkakey.services.namespace_walk import each_namespace
from pkakey.services.principals import Principal


class Command(BaseCommand):
    """Grants are made by the process `namespace-grant`; here they are looked at and ended."""

    help = "List the grants of a namespace, or withdraw one: grants --withdraw ID"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the grant to withdraw, and the namespace."""
        parser.add_argument("--withdraw", type=UUID, metavar="ID")
        parser.add_argument(
            "--reason", default="Withdrawn by command.", help="Why; the audit log keeps it."
        )
        parser.add_argument("--state", choices=STATES)
        parser.add_argument("--namespace", default="default")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature.
        """Do it."""
        now, grant_id = datetime.now(tz=UTC), options["withdraw"]
        found = [p for p in each_namespace("command") if p.namespace == options["namespace"]]
        if not found:
            raise CommandError(f"There is no namespace {options['namespace']!r}.")
        principal = found[0]
        try:
            if grant_id is not None:
                services_of_process().flows.withdraw(
                    principal=principal, grant_id=grant_id, reason=options["reason"], now=now
                )
                self.stdout.write(f"{grant_id} is withdrawn: later requests need people again.")
                return
            self._list(principal, options["state"], now)
        except ServiceError as error:
            raise CommandError(str(error)) from error

    def _list(self, principal: Principal, state: str | None, now: datetime) -> None:
        cursor: str | None = None
        while True:
            page = list_grants(principal, state=state, cursor=cursor, limit=200, now=now)
            for one in page.items:
                self.stdout.write(
                    f"{one.id}  {one.state:9}  {one.pattern}  {one.profile}  "
                    f"until {one.until:%Y-%m-%d}"
                )
            cursor = page.next_cursor
            if cursor is None:
                return
