"""Who acts, and the one way to open a transaction: `acting_as(principal)`.

Row-level security in PostgreSQL reads the settings that `acting_as` makes for one transaction
(docs/adr/0003). Without it, a query of a domain table sees no row.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal
from uuid import UUID

from django.db import connection, transaction

from pkakey.store.errors import NotPermitted, Unauthenticated

PERMISSIONS: Final[Mapping[str, str]] = {
    "certificates:read": "See certificates and export them",
    "certificates:issue": "Issue certificates",
    "certificates:revoke": "Revoke certificates",
    "authorities:read": "See certification authorities",
    "authorities:manage": "Create certification authorities and publish CRLs",
    "profiles:read": "See profiles",
    "tokens:manage": "Create and revoke API tokens",
    "audit:read": "Read the audit log",
    "dashboard:gateway": "Open the gateway's dashboard",
    "data:read": "Read the inventory through the data API",
    "flows:read": "See processes of approval and their tasks",
    "flows:start": "Start processes at KoolFlows",
    "flows:decide": "Decide tasks; the task names the roles that may",
}
"""Every permission and what it lets one do; a token's scopes are permissions."""

_READS: Final = frozenset(
    {"certificates:read", "authorities:read", "profiles:read", "data:read", "flows:read"}
)

PERMISSIONS_OF_ROLE: Final[Mapping[str, frozenset[str]]] = {
    "pki-admin": frozenset(PERMISSIONS),
    "pki-officer": _READS
    | {"certificates:issue", "certificates:revoke", "tokens:manage", "audit:read"}
    | {"flows:start", "flows:decide"},
    "pki-auditor": _READS | {"audit:read"},
    "pki-requester": _READS
    | {"certificates:issue", "tokens:manage", "flows:start", "flows:decide"},
    "db-admin": frozenset(),
    "content-editor": frozenset(),
}
"""The one table of roles (Django groups of the same names) and what each permits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who acts, in which namespace, with which rights.

    `roles` hold for people and the system, `scopes` for tokens; a person's `scopes`, if there are
    any, narrow what the roles permit. `request_id` goes into the audit
    entry of whatever this principal does.
    """

    kind: Literal["user", "token", "system"]
    id: str
    name: str
    namespace_id: UUID
    namespace: str
    roles: frozenset[str] = field(default_factory=frozenset)
    scopes: frozenset[str] = field(default_factory=frozenset)
    request_id: str = ""

    def can(self, permission: str) -> bool:
        """Return whether this principal holds the permission in its namespace."""
        if self.kind == "system":
            return True
        if self.kind == "token":
            return permission in self.scopes
        if self.scopes and permission not in self.scopes:
            return False
        return any(permission in PERMISSIONS_OF_ROLE.get(role, ()) for role in self.roles)


def require(principal: Principal, permission: str) -> None:
    """Raise `NotPermitted` when the principal lacks the permission."""
    if not principal.can(permission):
        raise NotPermitted(permission)


@contextmanager
def acting_as(principal: Principal) -> Iterator[None]:
    """Open a transaction in which PostgreSQL shows the principal's namespace and no other.

    The settings are local to the transaction, so that they cannot leak to the next user of a
    pooled connection. Raises `Unauthenticated` for a token that was revoked meanwhile, so that a
    principal may be remembered for some seconds without outliving its token.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pki.act_as(%s, %s, %s)",
            [principal.namespace_id, f"{principal.kind}:{principal.id}", principal.request_id],
        )
        row = cursor.fetchone()
        if not row[0]:
            raise Unauthenticated("token.revoked")
        yield
