"""`write_jwks`: our public token keys into a file, for a service that reads them from one."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from pkakey.fronts.command.services_of import services_of_process
from pkakey.services.errors import ServiceError


class Command(BaseCommand):
    """Writes a JWK set (RFC 7517); the file is replaced whole, so no reader sees a half."""

    help = "Write the public keys of PKaKey's tokens to a file, such as PostgREST's jwt-secret."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to."""
        parser.add_argument("file", type=Path)

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature.
        """Do it."""
        file: Path = options["file"]
        draft = file.with_name(f".{file.name}.new")
        try:
            content = services_of_process().token_jwks(now=datetime.now(UTC))
            draft.write_bytes(content)
            draft.replace(file)
        except ServiceError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}.") from error
        self.stdout.write(f"The keys are in {file}.")
