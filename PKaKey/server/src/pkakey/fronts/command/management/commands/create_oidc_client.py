"""`create_oidc_client`: a program at which people sign in by PKaKey (native mode)."""

import json
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from pkakey.fronts.command.services_of import services_of_process
from pkakey.services.errors import ServiceError


class Command(BaseCommand):
    """Prints the client's id, and its secret this once, as JSON."""

    help = "Register an OIDC client; print its id and secret as JSON."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Who, where to, for which services."""
        parser.add_argument("name")
        parser.add_argument("--redirect-uri", action="append", default=[], dest="redirect_uris")
        parser.add_argument("--audience", action="append", default=[], dest="audiences")
        parser.add_argument("--public", action="store_true", help="Without a secret, by PKCE.")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature.
        """Do it."""
        try:
            made = services_of_process().create_oidc_client(
                name=options["name"],
                redirect_uris=options["redirect_uris"],
                audiences=options["audiences"],
                public=options["public"],
                now=datetime.now(tz=UTC),
            )
        except ServiceError as error:
            raise CommandError(str(error)) from error
        known = {"client_id": made.client_id, "client_secret": made.secret}
        self.stdout.write(json.dumps(known))
