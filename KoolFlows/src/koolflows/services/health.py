"""Whether the parts that this service stands on answer."""

from concurrent.futures import ThreadPoolExecutor

from django.db import Error, connection

ANSWER_SECONDS = 5.0
"""PgBouncer holds a question back for a minute while its server is gone; who asks here cannot."""

# One at a time: while one is held back, those behind it are not ready either.
_asking = ThreadPoolExecutor(1, thread_name_prefix="readiness")


def parts_health() -> dict[str, str]:
    """Return `ok` or `unavailable` for the database."""
    try:
        _asking.submit(_ask).result(ANSWER_SECONDS)
    except (Error, TimeoutError):
        return {"database": "unavailable"}
    return {"database": "ok"}


def _ask() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()
