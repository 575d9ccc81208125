"""Raw reads and calls on Django's connection."""

from collections.abc import Sequence
from typing import Any, LiteralString

from django.db import connection


def rows(query: LiteralString, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run one statement on Django's connection and return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(query, list(values))
        return list(cursor.fetchall())
