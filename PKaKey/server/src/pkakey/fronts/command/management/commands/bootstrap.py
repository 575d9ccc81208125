"""`bootstrap`: the first start's namespace, authorities, gateway certificate and admin."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from pkakey_engine.errors import Refused

from pkakey.fronts.command.services_of import services_of_process
from pkakey.services.errors import ServiceError


class Command(BaseCommand):
    """Makes what is missing; running it again changes nothing."""

    help = "Create the first namespace, authorities, gateway certificate and admin."

    def handle(self, *_args: Any, **_options: Any) -> None:  # noqa: ANN401  # Django's signature.
        """Do it."""
        try:
            made = services_of_process().bootstrap(now=datetime.now(tz=UTC))
        except (ServiceError, Refused) as error:
            raise CommandError(f"The first start did not finish: {error} Run it again.") from error
        self.stdout.write(f"root authority {made.root_id}")
        self.stdout.write(f"issuing authority {made.issuing_id}")
        for what, happened in (
            ("gateway certificate written", made.renewed_gateway),
            ("admin created, one-time password in admin-password", made.created_admin),
            ("token created in cli-token", made.created_token),
        ):
            if happened:
                self.stdout.write(what)
