"""What every test may ask for."""

import os

# Importlib mode would bind `ddt` to the folder of that name; the package has to come first.
import ddt.native.postgresql  # noqa: F401
import pytest


@pytest.fixture(scope="session")
def database_admin_url() -> str:
    """The URL of a real PostgreSQL as an administrator (see ddt.native.pytest_database)."""
    return os.environ["THEDDT_TEST_DATABASE_URL"]
