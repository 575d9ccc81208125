"""What every test may ask for."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

# Importlib mode would bind `ddt` to the folder of that name; the package has to come first.
import ddt.native.postgresql  # noqa: F401
import psycopg
import pytest
from pesequel.database import LOGIN_ROLES, migrate
from psycopg import sql
from psycopg.conninfo import make_conninfo

from PeSequel.tests import pooler

DATA_PASSWORD = "for-tests-only"  # noqa: S105  # The tests' own server.
DATA_ISSUER = "https://pkakey.theddt.test:8443"


@pytest.fixture(scope="session")
def database_admin_url() -> str:
    """The URL of a real PostgreSQL as an administrator (see ddt.native.pytest_database)."""
    return os.environ["THEDDT_TEST_DATABASE_URL"]


@pytest.fixture(scope="session")
def data_database(database_admin_url: str) -> Iterator[str]:
    """Make PeSequel's database as the platform does; yield its URL as an administrator."""
    name = f"pesequel_test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    passwords = dict.fromkeys(LOGIN_ROLES, DATA_PASSWORD)
    migrate(database_admin_url, passwords=passwords, issuers=[DATA_ISSUER], database=name)
    yield make_conninfo(database_admin_url, dbname=name)
    with psycopg.connect(database_admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def empty_data_database(data_database: str) -> str:
    """The same, with an empty inventory."""
    with psycopg.connect(data_database, autocommit=True) as admin:
        admin.execute("SELECT inventory.reset()")
    return data_database


@pytest.fixture(scope="session")
def data_dsn(data_database: str) -> Callable[[str], str]:
    """Return PeSequel's database as one of its roles that sign in."""
    return lambda role: make_conninfo(data_database, user=role, password=DATA_PASSWORD)


@pytest.fixture(scope="session")
def pooled_data_dsn(data_database: str) -> Iterator[Callable[[str], str]]:
    """Return the same through a real PgBouncer with the shipped configuration."""
    # Debian keeps it where not everybody's search path goes.
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have PgBouncer.")
        pytest.skip("PgBouncer is not installed here ('apt-get install pgbouncer').")
    passwords = {"inventory_writer": DATA_PASSWORD}
    with pooler.running(Path(program), data_database, passwords) as dsn:
        yield lambda role: make_conninfo(dsn, user=role, password=DATA_PASSWORD)
