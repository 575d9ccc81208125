"""Which parts this service needs do answer."""

from django.db import Error, connection


def parts_health() -> dict[str, str]:
    """Return `ok` or `unavailable` for the database."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return {"database": "unavailable"}
    return {"database": "ok"}
