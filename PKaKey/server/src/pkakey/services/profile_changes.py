"""A new version of a profile that people have decided on, in the process `profile-change`."""

import json
from datetime import datetime
from typing import Any, Final

from pkakey_engine.issuance import Profile as EngineProfile

from pkakey.services.closing import Allowed, told
from pkakey.services.errors import Conflict, NotFound
from pkakey.services.issuing_authority import forget
from pkakey.services.namespaces import publish_profile
from pkakey.services.principals import Principal
from pkakey.services.records import record
from pkakey.store.context import acting_as
from pkakey.store.profiles.models import Profile

DIAGRAM: Final = "profile-change"


def change_profile(
    *, principal: Principal, allowed: Allowed, name: str, document: str, now: datetime
) -> dict[str, Any]:
    """Publish the document as the profile's next version; the same again changes nothing more.

    The document is the whole profile as JSON, and its `version` the one that it makes: so what two
    people approved is not laid over a change that they have not seen. Raises
    `NotFound("profile")`, and `Conflict` for another process, a document that is no such profile,
    another kind of certificate, or another version than the next.
    """
    if allowed.diagram != DIAGRAM or not allowed.deciders:
        raise Conflict(
            "profile.other-diagram",
            f"A profile is changed by people's decision, in the process {DIAGRAM!r}.",
        )
    parsed = _parsed(name, document)
    with acting_as(principal):
        current = Profile.objects.select_for_update().filter(name=name, is_current=True).first()
        if current is None:
            raise NotFound("profile")
        made = Profile.objects.filter(name=name, version=parsed.version).first()
        if made is not None and made.digest == parsed.digest:
            return {"profile": name, "version": made.version, "digest": made.digest}
        if parsed.version != current.version + 1:
            raise Conflict(
                "profile.version",
                f"The profile is at version {current.version}, and the document is version "
                f"{parsed.version}. Base the change on the current one, and call it version "
                f"{current.version + 1}.",
            )
        if parsed.data["kind"] != current.data["kind"]:
            raise Conflict(
                "profile.kind",
                f"The profile is for {current.data['kind']} certificates, and stays so.",
            )
        publish_profile(principal, parsed, now=now)
        record(
            principal=principal, now=now, action="profile.changed", target=name,
            details={**told(allowed), "version": parsed.version, "digest": parsed.digest},
        )  # fmt: skip
    forget()
    return {"profile": name, "version": parsed.version, "digest": parsed.digest}


def _parsed(name: str, document: str) -> EngineProfile:
    try:
        parsed = EngineProfile.from_data(json.loads(document))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Conflict("profile.invalid", f"The document is no profile: {error}") from error
    if parsed.name != name:
        raise Conflict(
            "profile.invalid",
            f"The document is the profile {parsed.name!r}, and the change is for {name!r}.",
        )
    return parsed
