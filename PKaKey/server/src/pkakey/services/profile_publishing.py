"""A new version of a profile; what was issued by the versions before stays as it is."""

from datetime import datetime

from pkakey_engine.issuance import Profile as EngineProfile

from pkakey.services.errors import Conflict, NotFound
from pkakey.services.issuing_authority import forget
from pkakey.services.namespace_walk import each_namespace
from pkakey.services.namespaces import publish_profile
from pkakey.store.context import acting_as
from pkakey.store.profiles.models import Profile


def require_approval(*, namespace: str, profile: str, diagram: str | None, now: datetime) -> int:
    """Publish the profile's next version, which needs this diagram (None: no approval).

    Returns the version that is current then. Raises `NotFound`, `Conflict("profile.invalid")`.
    """
    for principal in each_namespace("profiles"):
        if principal.namespace != namespace:
            continue
        with acting_as(principal):
            row = Profile.objects.select_for_update().filter(name=profile, is_current=True).first()
            if row is None:
                raise NotFound("profile")
            if row.data.get("approval", {}).get("diagram") == diagram:
                return row.version
            data = {key: value for key, value in row.data.items() if key != "approval"}
            data["version"] = row.version + 1
            if diagram is not None:
                data["approval"] = {"diagram": diagram}
            try:
                parsed = EngineProfile.from_data(data)
            except ValueError as error:
                raise Conflict("profile.invalid", str(error)) from error
            publish_profile(principal, parsed, now=now)
        forget()
        return parsed.version
    raise NotFound("namespace")
