"""Suspend an authority, and activate it again when so many key holders have agreed.

A suspended authority signs no certificate for anybody; its CRLs and OCSP responses go on, so that
what it issued before can be checked and revoked.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pkakey.services.closing import Allowed, told
from pkakey.services.errors import Conflict, NotFound
from pkakey.services.issuing_authority import IssuingAuthority, forget
from pkakey.services.principals import Principal, require
from pkakey.services.records import Told, record
from pkakey.store.authorities.models import Authority, AuthorityAct
from pkakey.store.context import acting_as

DIAGRAM: Final = "ca-activation"
ACTIVATE: Final = "activate-authority"
DEACTIVATE: Final = "deactivate-authority"


def require_not_suspended(authority: IssuingAuthority) -> None:
    """Raise `Conflict("authority.suspended")` for an authority that may not issue now."""
    if authority.is_suspended:
        raise Conflict(
            "authority.suspended",
            f"The authority {authority.name!r} is suspended and issues nothing until key holders "
            f"activate it in the process {DIAGRAM!r}. Name another authority, or ask them.",
        )


def suspend_authority(*, principal: Principal, authority_id: UUID, now: datetime) -> None:
    """Let the authority issue nothing more; one that is suspended stays so.

    Raises `NotPermitted`, `NotFound("authority")`.
    """
    require(principal, "authorities:manage")
    with acting_as(principal):
        change = _set(authority_id, now)
        if change is not None:
            record(
                principal=principal, now=now, action=change.type,
                target=str(authority_id), details={}, told=change,
            )  # fmt: skip
    forget()


def act_on_authority(
    *, principal: Principal, allowed: Allowed, act: str, authority_id: UUID, now: datetime
) -> dict[str, Any]:
    """Do what a process has decided on, once; the same step again does nothing more.

    `act` is ACTIVATE or DEACTIVATE. Raises `NotFound("authority")`, also for one of another
    namespace, and `Conflict("authority.other-diagram")`.
    """
    if allowed.diagram != DIAGRAM or not allowed.deciders:
        raise Conflict(
            "authority.other-diagram",
            f"An authority is activated by its key holders, in the process {DIAGRAM!r}.",
        )
    with acting_as(principal):
        # The row is held, so that the same step twice at once is done one after the other.
        _own(authority_id)
        _, is_new = AuthorityAct.objects.get_or_create(
            namespace_id=principal.namespace_id,
            process_id=allowed.id,
            act=act,
            authority_id=authority_id,
            defaults={"at": now},
        )
        if is_new:
            change = _set(authority_id, None if act == ACTIVATE else now)
            action = "authority.activated" if act == ACTIVATE else "authority.suspended"
            record(
                principal=principal, now=now, action=action, target=str(authority_id),
                details=told(allowed), told=change,
            )  # fmt: skip
    forget()
    return {"authority": str(authority_id), "act": act}


def _own(authority_id: UUID) -> Authority:
    found = (
        Authority.objects.select_for_update()
        .filter(id=authority_id, state=Authority.ACTIVE)
        .first()
    )
    if found is None:
        raise NotFound("authority")
    return found


def _set(authority_id: UUID, suspended_at: datetime | None) -> Told | None:
    """Change it and return what to tell, unless it is so.

    A change is a new version of the row, so that no process goes on from memory.
    """
    found = _own(authority_id)
    if (found.suspended_at is None) == (suspended_at is None):
        return None
    version = found.version + 1
    Authority.objects.filter(id=authority_id).update(suspended_at=suspended_at, version=version)
    return Told(
        type="authority.activated" if suspended_at is None else "authority.suspended",
        payload={"authority_id": str(authority_id), "authority_version": version},
    )
