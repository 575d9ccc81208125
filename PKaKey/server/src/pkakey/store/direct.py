"""The hot path's own connection: one function call is one statement and one transaction.

Django's connection would add a health check, a BEGIN and a COMMIT to each (docs/performance.md).
One connection a thread, kept open. The functions called here are idempotent, so a call whose
connection broke is made once more on a new one.
"""

import logging
import threading
from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg
from django.db import connections

from pkakey.store.errors import ServiceUnavailable

logger = logging.getLogger(__name__)

_local = threading.local()


def call(query: LiteralString, values: Sequence[object]) -> list[tuple[Any, ...]]:
    """Run one statement in a transaction of its own and return its rows.

    Raises `ServiceUnavailable("database")` when the server does not answer, psycopg's other errors
    as they are.
    """
    for attempt in (1, 2):
        connection = _connection()
        try:
            return connection.execute(query, values, binary=True).fetchall()
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            if attempt == 2 or not connection.closed:  # noqa: PLR2004
                raise _unavailable(error) from error
    raise AssertionError("The loop returns or raises.")


def close() -> None:
    """Close this thread's connection."""
    connection = getattr(_local, "connection", None)
    if connection is not None:
        connection.close()


def _unavailable(error: Exception) -> ServiceUnavailable:
    logger.warning("The database does not answer: %s", error)
    return ServiceUnavailable(
        "database",
        "The database does not answer at the moment. Send the same request again in a few "
        "seconds, with the same Idempotency-Key if you gave one.",
    )


def _connection() -> psycopg.Connection[tuple[Any, ...]]:
    connection: psycopg.Connection[tuple[Any, ...]] | None = getattr(_local, "connection", None)
    if connection is not None and not connection.closed:
        return connection
    parameters = connections["default"].get_connection_params()
    for name in ("cursor_factory", "context"):
        parameters.pop(name, None)
    try:
        _local.connection = psycopg.connect(**{**parameters, "autocommit": True})
    except psycopg.OperationalError as error:
        raise _unavailable(error) from error
    fresh: psycopg.Connection[tuple[Any, ...]] = _local.connection
    return fresh
