"""`deploy_shipped`: deploy the diagrams that come with the platform, for every namespace."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from koolflows.fronts.command.services_of import services_of_process
from koolflows.services.errors import DiagramRefused

BESIDE: Final = Path(__file__).parents[6] / "diagrams"


class Command(BaseCommand):
    """Deploys what changed; running it again changes nothing."""

    help = "Deploy the shipped diagrams."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take another folder."""
        parser.add_argument("folder", nargs="?", type=Path)

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature.
        """Do it."""
        env = getattr(settings, "ENV", None)
        folder = options["folder"] or (env and env.diagrams_dir) or BESIDE
        if not folder.is_dir():
            raise CommandError(f"{folder} is no folder. Set KOOLFLOWS_DIAGRAMS_DIR.")
        try:
            new = services_of_process().deploy_shipped(folder, now=datetime.now(tz=UTC))
        except DiagramRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Deployed: {', '.join(new) or 'nothing new'}.")
