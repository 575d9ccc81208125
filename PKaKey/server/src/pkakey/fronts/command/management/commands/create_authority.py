"""`create_authority`: a root or an authority below one, with name constraints if wanted."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from pkakey_engine.errors import Refused

from pkakey.fronts.command.services_of import services_of_process
from pkakey.services.errors import ServiceError
from pkakey.services.namespace_walk import each_namespace


class Command(BaseCommand):
    """Prints the new authority's id; with the same name again it finishes a half-made one."""

    help = "Create a certification authority and print its id."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Its name, the authority above it, and which names it may certify."""
        parser.add_argument("name", help="The subject's common name.")
        parser.add_argument("--namespace", default="default")
        parser.add_argument("--organization", default="theDDT")
        parser.add_argument("--parent", type=UUID, help="The id of the authority above it.")
        parser.add_argument("--profile", default="", help="Default: issuing-ca, or root-ca.")
        parser.add_argument("--algorithm", default="ecdsa-p256")
        parser.add_argument(
            "--permit",
            action="append",
            default=[],
            metavar="KIND:VALUE",
            help="Names that it may certify, such as dns:example.test or ip:10.0.0.0/8.",
        )
        parser.add_argument(
            "--exclude", action="append", default=[], metavar="KIND:VALUE", help="And may not."
        )
        parser.add_argument(
            "--suspended",
            action="store_true",
            help="It issues nothing until key holders activate it (process ca-activation).",
        )
        parser.add_argument(
            "--default", action="store_true", help="The namespace issues from it from now on."
        )

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature.
        """Do it."""
        found = [p for p in each_namespace("command") if p.namespace == options["namespace"]]
        if not found:
            raise CommandError(f"There is no namespace {options['namespace']!r}.")
        parent_id, services = options["parent"], services_of_process()
        try:
            made = services.create_authority(
                principal=found[0],
                common_name=options["name"],
                organization=options["organization"],
                profile=options["profile"] or ("issuing-ca" if parent_id else "root-ca"),
                parent_id=parent_id,
                algorithm=options["algorithm"],
                now=datetime.now(tz=UTC),
                permitted=options["permit"],
                excluded=options["exclude"],
            )
            if options["suspended"]:
                services.suspend_authority(
                    principal=found[0], authority_id=made.id, now=datetime.now(tz=UTC)
                )
            if options["default"]:
                services.set_default_authority(principal=found[0], authority_id=made.id)
        except (ServiceError, Refused) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(str(made.id))
