"""A pytest plugin: a real PostgreSQL for the tests, unless THEDDT_TEST_DATABASE_URL names one.

It must act before Django's settings are read, so it is loaded by `-p` in the root's pyproject.toml
and wraps the hook in which pytest-django reads them. Workers of pytest-xdist inherit the variable.
"""

import os
from collections.abc import Generator
from contextlib import ExitStack

import pytest

from ddt.native.postgresql import temporary_server

VARIABLE = "THEDDT_TEST_DATABASE_URL"
_running = ExitStack()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Generator[None, None, None]:
    """Start the server and name it in the environment."""
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = _running.enter_context(temporary_server())
        _running.callback(os.environ.pop, VARIABLE)
    return (yield)


def pytest_unconfigure() -> None:
    """Stop the server, if it was started here."""
    _running.close()
