"""API tokens, without their secrets."""

from pkakey.selectors.results import TokenItem
from pkakey.store.context import Principal, acting_as, require
from pkakey.store.tokens.models import Token


def list_tokens(principal: Principal) -> tuple[TokenItem, ...]:
    """Return the tokens that the principal may revoke, newest first.

    Who is no administrator sees their own.
    """
    require(principal, "tokens:manage")
    with acting_as(principal):
        tokens = Token.objects.order_by("-created_at", "-id")
        if principal.kind == "user" and "pki-admin" not in principal.roles:
            tokens = tokens.filter(created_by=f"{principal.kind}:{principal.id}")
        return tuple(
            TokenItem(
                id=row.id,
                name=row.name,
                scopes=tuple(row.scopes),
                created_by=row.created_by_name,
                created_at=row.created_at,
                expires_at=row.expires_at,
                last_used_at=row.last_used_at,
                revoked_at=row.revoked_at,
            )
            for row in tokens
        )
