"""`prepare_database`: create the database and its roles, as an administrator."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from psycopg import OperationalError
from psycopg.conninfo import make_conninfo

from koolflows.services.database_preparation import LOGIN_ROLES, prepare_database


class Command(BaseCommand):
    """Creates what is missing and sets the roles' passwords; running it again changes nothing."""

    help = "Create the database and its roles (needs KOOLFLOWS_ADMIN_DATABASE_URL)."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """There are none."""

    def handle(self, *_args: Any, **_options: Any) -> None:  # noqa: ANN401  # Django's signature.
        """Do it."""
        env = getattr(settings, "ENV")  # noqa: B009  # Only real settings have it.
        if env.admin_database_url is None:
            raise CommandError(
                "Set KOOLFLOWS_ADMIN_DATABASE_URL to a database administrator's URL."
            )
        passwords = {role: env.password(role) for role in LOGIN_ROLES}
        missing = [role for role, password in passwords.items() if not password]
        if missing:
            files = ", ".join(f"{role.replace('_', '-')}-password" for role in missing)
            raise CommandError(f"KOOLFLOWS_SECRETS_DIR lacks {files}; run `ddt init`.")
        admin_url = env.admin_database_url
        if env.admin_database_password_file is not None:
            admin_url = make_conninfo(
                admin_url, password=env.admin_database_password_file.read_text().strip()
            )
        try:
            prepare_database(
                admin_url,
                {role: password for role, password in passwords.items() if password},
                database=settings.DATABASES["default"]["NAME"],
            )
        except OperationalError as error:
            raise CommandError(f"The database server does not answer: {error}") from error
        self.stdout.write("The database and its roles are ready.")
