"""`compare_signer_log`: every certificate that the signer signed is known to the store."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from pkakey_signers.log import LogDamaged

from pkakey.services.log_comparison import unknown_signatures


class Command(BaseCommand):
    """Ends with 1 and the serial numbers when the log names a certificate without a record."""

    help = "Compare the signer's log with the store."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where the log is."""
        parser.add_argument("log", type=Path)

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature.
        """Do it."""
        try:
            count, unknown = unknown_signatures(options["log"])
        except OSError as error:
            raise CommandError(f"The log cannot be read: {error}") from error
        except LogDamaged as error:
            raise CommandError(f"The log was changed. {error}") from error
        if unknown:
            raise CommandError(
                f"{len(unknown)} of {count} signed certificates have no record: "
                f"{', '.join(unknown[:20])}"
            )
        self.stdout.write(f"All {count} signed certificates have a record.")
