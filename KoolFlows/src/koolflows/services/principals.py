"""Who acts, for the fronts."""

from koolflows.store.context import ROLES_FOR, SCOPE_FOR, SHARED, Principal, require, system

SCOPES = frozenset(SCOPE_FOR.values())

__all__ = ["ROLES_FOR", "SCOPES", "SHARED", "Principal", "require", "system"]
