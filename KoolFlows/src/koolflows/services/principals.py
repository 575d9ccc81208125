"""Who acts, for the fronts."""

from koolflows.store.context import ROLES_FOR, SHARED, Principal, require, system

__all__ = ["ROLES_FOR", "SHARED", "Principal", "require", "system"]
