"""The platform's figures from the database, as the role `pkakey_status`."""

import threading
from collections.abc import Iterable
from typing import Any

import psycopg

from pkakey.fronts.metrics.collectors import Figure, PartAway

_FIGURES = """
SELECT name, labels, value FROM status.platform_figures()
UNION ALL SELECT name, labels, value FROM status.inventory_figures()
"""
# What any role may ask, and the role of those functions may not.
_SERVER = """
SELECT pg_database_size(current_database())::float8,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::float8,
       current_setting('max_connections')::float8
"""


class FiguresDatabase:
    """One connection, opened at the first question and again after it broke."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._lock = threading.Lock()

    def figures(self) -> Iterable[Figure]:
        """Return name, labels and value of each; raises `PartAway`."""
        with self._lock:
            try:
                return self._ask()
            except psycopg.Error as error:
                self._drop()
                raise PartAway((str(error).strip() or type(error).__name__)[:300]) from error

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _ask(self) -> Iterable[Figure]:
        if self._connection is None:
            self._connection = psycopg.connect(
                self._conninfo,
                autocommit=True,
                connect_timeout=3,
                application_name="pkakey-metrics",
                options="-c statement_timeout=5000 -c default_transaction_read_only=on",
            )
        connection = self._connection
        found: list[Figure] = list(connection.execute(_FIGURES).fetchall())
        size, connections, limit = connection.execute(_SERVER).fetchall()[0]
        return [
            *found,
            ("pkakey_database_size_bytes", {}, size),
            ("pkakey_database_connections", {}, connections),
            ("pkakey_database_connections_limit", {}, limit),
        ]

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
