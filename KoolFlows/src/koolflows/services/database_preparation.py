"""The database and its roles, for the command that an administrator runs once."""

from collections.abc import Mapping

from koolflows.store.database_roles import LOGIN_ROLES, ensure_roles

__all__ = ["LOGIN_ROLES", "prepare_database"]


def prepare_database(admin_url: str, passwords: Mapping[str, str], *, database: str) -> None:
    """Create what is missing of the database and its roles; see `store.database_roles`."""
    ensure_roles(admin_url, passwords, database=database)
