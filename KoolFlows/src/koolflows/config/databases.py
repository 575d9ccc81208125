"""Django's DATABASES entry from PostgreSQL URLs."""

from typing import Any

from psycopg.conninfo import conninfo_to_dict

from koolflows.config.env import Env

OWNER = "koolflows_owner"
WEB = "koolflows_web"
TEST_PASSWORD = "for-tests-only"  # noqa: S105  # The tests' own roles, on the tests' own server.


def database(env: Env, *, migrating: bool) -> dict[str, Any]:
    """Return the entry for this process's role; with `migrating`, for the owner of the tables.

    The owner's password comes from the secrets folder; without one there, the administrator of
    KOOLFLOWS_ADMIN_DATABASE_URL takes the owner's role.
    """
    entry = _entry(env.database_url)
    if env.database_password_file is not None:
        entry["PASSWORD"] = env.database_password_file.read_text().strip()
    if not migrating:
        return entry
    password = env.password(OWNER)
    if password is not None:
        return entry | {"USER": OWNER, "PASSWORD": password}
    if env.admin_database_url is None:
        raise RuntimeError(
            "Migrations need the owner of the tables: give KOOLFLOWS_SECRETS_DIR with "
            "koolflows-owner-password, or KOOLFLOWS_ADMIN_DATABASE_URL."
        )
    admin = _entry(env.admin_database_url) | {"NAME": entry["NAME"]}
    if env.admin_database_password_file is not None:
        admin["PASSWORD"] = env.admin_database_password_file.read_text().strip()
    admin["OPTIONS"]["options"] = f"-c role={OWNER}"
    return admin


def test_database(admin_url: str, *, name: str) -> dict[str, Any]:
    """Return the entry for the tests' own database, as the web process's role."""
    return _entry(admin_url) | {"NAME": name, "USER": WEB, "PASSWORD": TEST_PASSWORD}


def _entry(url: str) -> dict[str, Any]:
    parts = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.pop("dbname", "koolflows"),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        "OPTIONS": parts,
        # Kept open, and looked at before use: a restarted server costs no request.
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        # PgBouncer in transaction mode keeps no cursor between statements.
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "ATOMIC_REQUESTS": False,
    }
