"""Who acts, and the one way to open a transaction: `acting_as(principal)`.

Row-level security in PostgreSQL reads the setting that `acting_as` makes for one transaction
(docs/adr/0003). Without it, a query of a domain table sees no row.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from django.db import connection, transaction

from koolflows.store.errors import NotPermitted

SHARED: Final = "*"
"""The namespace of the shipped diagrams: everybody reads it, only the service writes it."""

ROLES_FOR: Final[Mapping[str, frozenset[str]]] = {
    "flows:deploy": frozenset({"pki-admin"}),
    "flows:operate": frozenset({"pki-admin"}),
    "flows:start": frozenset({"pki-admin", "pki-officer", "pki-requester"}),
    "flows:read": frozenset({"pki-admin", "pki-officer", "pki-auditor", "pki-requester"}),
    "flows:read-all": frozenset({"pki-admin", "pki-officer", "pki-auditor"}),
    "flows:message": frozenset({"pki-admin", "pki-officer"}),
    # Which task is decided by whom, its diagram says.
    "flows:decide": frozenset({"pki-admin", "pki-officer", "pki-auditor", "pki-requester"}),
}
"""The one table of permissions and the roles that hold them."""

SCOPE_FOR: Final[Mapping[str, str]] = {
    permission: "flows:read" if permission == "flows:read-all" else permission
    for permission in ROLES_FOR
}
"""The scope that a token with any of ours must have for a permission."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who acts, in which namespace, with which roles: what the token of this request says.

    `scopes` are those of ours that the token has. They narrow a person's roles; a program, whose
    token has no roles, may what its scopes say.
    """

    subject: str
    name: str
    namespace: str
    roles: frozenset[str] = field(default_factory=frozenset)
    scopes: frozenset[str] = field(default_factory=frozenset)
    is_program: bool = False
    request_id: str = ""
    is_system: bool = False

    def can(self, permission: str) -> bool:
        """Return whether this principal holds the permission in its namespace."""
        if self.is_system:
            return True
        has_scope = SCOPE_FOR[permission] in self.scopes
        if self.is_program:
            return has_scope
        return bool(self.roles & ROLES_FOR[permission]) and (has_scope or not self.scopes)


def system(namespace: str, name: str = "KoolFlows", request_id: str = "") -> Principal:
    """Return the service itself, acting in a namespace."""
    return Principal(
        subject=f"system:{name}",
        name=name,
        namespace=namespace,
        request_id=request_id,
        is_system=True,
    )


def require(principal: Principal, permission: str) -> None:
    """Raise `NotPermitted` when the principal lacks the permission."""
    if not principal.can(permission):
        roles = ", ".join(sorted(ROLES_FOR[permission]))
        raise NotPermitted(
            "permission.denied", f"This needs {permission}, which these roles hold: {roles}."
        )


@contextmanager
def acting_as(principal: Principal) -> Iterator[None]:
    """Open a transaction in which PostgreSQL shows the principal's namespace and no other.

    The setting is local to the transaction, so that it cannot leak to the next user of a pooled
    connection.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('koolflows.namespace', %s, true)", [principal.namespace])
        yield
