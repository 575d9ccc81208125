"""`rotate_cli_token`: another API token for the `ddt` command on this machine."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from pkakey.fronts.command.services_of import services_of_process
from pkakey.services.errors import ServiceError


class Command(BaseCommand):
    """Writes the new token into the folder of secrets, and revokes those before it."""

    help = "Replace the token in cli-token; the one before is revoked."

    def handle(self, *_args: Any, **_options: Any) -> None:  # noqa: ANN401  # Django's signature.
        """Do it."""
        try:
            revoked = services_of_process().rotate_cli_token(now=datetime.now(tz=UTC))
        except ServiceError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"A new token is in cli-token; {revoked} before it were revoked.")
