"""A real database, as the web process's role; `admin_dsn` looks behind row-level security."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo


@pytest.fixture(scope="session")
def database_name() -> str:
    """The tests' own database; workers of pytest-xdist each have one."""
    from django.conf import settings

    name: str = settings.DATABASES["default"]["NAME"]
    return name


@pytest.fixture(scope="session")
def admin_dsn(database_admin_url: str, database_name: str) -> str:
    """The tests' database as an administrator, whom row-level security does not bind."""
    return make_conninfo(database_admin_url, dbname=database_name)


@pytest.fixture(scope="session")
def role_dsn(database_admin_url: str, database_name: str) -> Callable[[str], str]:
    """Return the tests' database as one of the service's roles."""
    from koolflows.config.databases import TEST_PASSWORD

    return lambda role: make_conninfo(
        database_admin_url, dbname=database_name, user=role, password=TEST_PASSWORD
    )


@pytest.fixture(scope="session")
def django_db_setup(
    database_admin_url: str, database_name: str, admin_dsn: str, django_db_blocker: Any
) -> Iterator[None]:
    """Make the database as the service does: roles, then migrations as the owner."""
    from django.core.management import call_command
    from django.core.management.commands import flush
    from django.db import connections
    from koolflows.config.databases import OWNER, TEST_PASSWORD, WEB
    from koolflows.store.database_roles import LOGIN_ROLES, ensure_roles

    ensure_roles(
        database_admin_url, dict.fromkeys(LOGIN_ROLES, TEST_PASSWORD), database=database_name
    )
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        default = connections["default"]
        default.settings_dict["USER"] = OWNER
        call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
        default.close()
        default.settings_dict["USER"] = WEB

        # pytest-django flushes after each transactional test; the web role may not truncate.
        def flush_as_admin(*_args: object, **_options: object) -> None:
            empty_database(admin_dsn)

        patch.setattr(flush.Command, "handle", flush_as_admin)
        yield
    with django_db_blocker.unblock():
        connections.close_all()
    with psycopg.connect(database_admin_url, autocommit=True) as admin:
        admin.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database_name))
        )


def domain_tables() -> list[str]:
    """The tables of the store's apps."""
    from django.apps import apps
    from koolflows.config.settings_base import STORE_APPS

    return [
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_config.name in STORE_APPS
    ]


def empty_database(admin_dsn: str) -> None:
    """Empty the domain's tables."""
    tables = domain_tables()
    if not tables:
        return
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        # Without triggers: the history's own refuse this even for an administrator.
        admin.execute("SET session_replication_role = replica")
        admin.execute(
            sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(map(sql.Identifier, tables)))
        )


@pytest.fixture
def now() -> datetime:
    """The present time, in whole seconds."""
    return datetime.now(tz=UTC).replace(microsecond=0)
