"""What every test may ask for."""

import os

import pytest


@pytest.fixture(scope="session")
def database_admin_url() -> str:
    """The URL of a real PostgreSQL as an administrator (see ddt.native.pytest_database)."""
    return os.environ["THEDDT_TEST_DATABASE_URL"]
