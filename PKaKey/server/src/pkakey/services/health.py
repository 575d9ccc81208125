"""Which parts of the platform answer."""

from django.db import Error, connection
from pkakey_signers.errors import SignerError
from redis import Redis
from redis.exceptions import RedisError

from pkakey.services.outside import Outside


def parts_health(outside: Outside) -> dict[str, str]:
    """Return `ok` or `unavailable` for the database, Redis and the signer."""
    return {
        "database": _database(),
        "redis": _redis(outside.redis_url),
        "signer": _signer(outside),
    }


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return "unavailable"
    return "ok"


def _redis(url: str) -> str:
    try:
        with Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as redis:
            redis.ping()
    except RedisError:
        return "unavailable"
    return "ok"


def _signer(outside: Outside) -> str:
    try:
        return "ok" if outside.signer.health().get("state") == "ready" else "unavailable"
    except SignerError:
        return "unavailable"
