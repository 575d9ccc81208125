"""Who acts: from a token, from a signed-in person, or the platform itself."""

from uuid import UUID

from pkakey.services.errors import NotPermitted
from pkakey.store.context import PERMISSIONS, PERMISSIONS_OF_ROLE, Principal, require
from pkakey.store.reading import rows

__all__ = [
    "PERMISSIONS",
    "PERMISSIONS_OF_ROLE",
    "Principal",
    "principal_of_user",
    "require",
    "system_principal",
]


def principal_of_user(
    *, user_id: int, namespace_id: UUID | None = None, request_id: str = ""
) -> Principal:
    """Return the principal of a signed-in person.

    In `namespace_id` when the person belongs to it, else in their first namespace by name.
    Raises `NotPermitted("namespace:member")` for who belongs to none, or is not active.
    """
    found = rows("SELECT * FROM pki.principal_of_user(%s)", [user_id])
    if not found:
        raise NotPermitted("namespace:member")
    chosen = next((row for row in found if row[0] == namespace_id), found[0])
    return Principal(
        kind="user",
        id=str(user_id),
        name=chosen[3],
        namespace_id=chosen[0],
        namespace=chosen[1],
        roles=frozenset(chosen[4]),
        request_id=request_id,
    )


def system_principal(*, namespace_id: UUID, namespace: str, name: str) -> Principal:
    """Return the platform itself, acting in a namespace; `name` says which part of it."""
    return Principal(
        kind="system", id=name, name=name, namespace_id=namespace_id, namespace=namespace
    )
