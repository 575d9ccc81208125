"""Profiles: the current version of each."""

from pkakey.selectors.results import ProfileItem
from pkakey.store.context import Principal, acting_as, require
from pkakey.store.profiles.models import Profile


def list_profiles(principal: Principal) -> tuple[ProfileItem, ...]:
    """Return the namespace's current profiles by name."""
    require(principal, "profiles:read")
    with acting_as(principal):
        return tuple(
            ProfileItem(
                id=row.id,
                name=row.name,
                version=row.version,
                digest=row.digest,
                data=row.data,
                created_at=row.created_at,
            )
            for row in Profile.objects.filter(is_current=True).order_by("name")
        )
