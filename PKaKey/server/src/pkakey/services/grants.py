"""Grants: a team may have these names under this profile until a date, and nobody is asked again.

A process of KoolFlows decides on it (`namespace-grant`); the way is that of `approved`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError
from pkakey_engine.issuance import IntendedCertificate
from pkakey_engine.names import NameKind, parse_dns_name

from pkakey.services.closing import Allowed, told
from pkakey.services.errors import Conflict, NotFound
from pkakey.services.principals import Principal, require
from pkakey.services.records import record
from pkakey.store.context import acting_as
from pkakey.store.profiles.models import Profile
from pkakey.store.requests.models import Grant

DIAGRAM: Final = "namespace-grant"
LONGEST: Final = timedelta(days=731)
MIN_REASON: Final = 3
MAX_REASON: Final = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """What a grant is for."""

    team: str
    pattern: str
    profile: str
    until: datetime


def grant(*, principal: Principal, allowed: Allowed, asked: Asked, now: datetime) -> dict[str, Any]:
    """Record the grant; the same process again gets the same one.

    Raises the engine's `Refused` for a pattern that is no DNS name, `NotFound("profile")`,
    `Conflict` for another namespace, a date that is over or too far, or a process by nobody.
    """
    pattern = parse_dns_name(asked.pattern, wildcard=True)
    _require_decided(allowed, asked)
    row = Grant(
        namespace_id=principal.namespace_id,
        pattern=pattern,
        profile=asked.profile,
        until=asked.until,
        process_id=allowed.id,
        diagram=allowed.diagram,
        diagram_version=allowed.version,
        diagram_sha256=allowed.sha256,
        path=allowed.path,
        deciders=allowed.deciders,
        created_at=now,
    )
    with acting_as(principal):
        earlier = Grant.objects.filter(process_id=allowed.id).first()
    if earlier is not None:
        return _answer(earlier, asked, pattern)
    require_possible(principal, asked, now)
    try:
        with acting_as(principal):
            row.save(force_insert=True)
            record(
                principal=principal, now=now, action="grant.recorded", target=str(row.id),
                details={**told(allowed), "pattern": pattern, "profile": row.profile,
                         "until": row.until.isoformat()},
            )  # fmt: skip
    except IntegrityError:
        # The same was asked twice at once.
        with acting_as(principal):
            row = Grant.objects.get(process_id=allowed.id)
    return _answer(row, asked, pattern)


def require_possible(principal: Principal, asked: Asked, now: datetime) -> None:
    """Raise what keeps this from ever being granted, before people are asked about it.

    Raises the engine's `Refused` for a pattern that is no DNS name, `NotFound("profile")`, and
    `Conflict` for a date that is over or too far.
    """
    parse_dns_name(asked.pattern, wildcard=True)
    with acting_as(principal):
        if not Profile.objects.filter(name=asked.profile, is_current=True).exists():
            raise NotFound("profile")
    if not now < asked.until <= now + LONGEST:
        raise Conflict("grant.until", f"A grant ends after now, and within {LONGEST.days} days.")


def withdraw(*, principal: Principal, grant_id: UUID, reason: str, now: datetime) -> None:
    """End a grant before its date, and say why; what was issued stays.

    Raises `NotPermitted`, `NotFound`, and `Conflict` for one that is withdrawn already or a reason
    that says nothing.
    """
    require(principal, "certificates:revoke")
    reason = reason.strip()
    if not MIN_REASON <= len(reason) <= MAX_REASON:
        raise Conflict("grant.reason", f"Say why, in {MIN_REASON} to {MAX_REASON} characters.")
    with acting_as(principal):
        row = Grant.objects.filter(pk=grant_id).first()
        if row is None:
            raise NotFound("grant")
        if not Grant.objects.filter(pk=grant_id, withdrawn_at=None).update(withdrawn_at=now):
            raise Conflict("grant.withdrawn", "This grant is withdrawn already.")
        record(
            principal=principal, now=now, action="grant.withdrawn", target=str(grant_id),
            details={"pattern": row.pattern, "profile": row.profile, "reason": reason},
        )  # fmt: skip


def covering(principal: Principal, intended: IntendedCertificate, now: datetime) -> Grant | None:
    """Return a grant for every name of this certificate; None: people decide.

    A subject that says more than one of these names is for people, too.
    """
    names = [name.value for name in intended.names]
    if not names or any(name.kind is not NameKind.DNS for name in intended.names):
        return None
    if intended.subject and intended.subject not in {f"CN={name}" for name in names}:
        return None
    wanted = {pattern for name in names for pattern in (name, _above(name))}
    with acting_as(principal):
        found = Grant.objects.filter(
            profile=intended.profile_name, until__gt=now, withdrawn_at=None, pattern__in=wanted
        ).order_by("-until", "id")
        return next(
            (one for one in found if all(one.pattern in {name, _above(name)} for name in names)),
            None,
        )


def as_allowed(row: Grant, namespace: str) -> Allowed:
    """Return the process behind a grant as what allows a request within it."""
    return Allowed(
        id=row.process_id,
        diagram=row.diagram,
        version=row.diagram_version,
        sha256=row.diagram_sha256,
        namespace=namespace,
        path=row.path,
        deciders=row.deciders,
    )


def _above(name: str) -> str:
    return f"*.{name.partition('.')[2]}"


def _require_decided(allowed: Allowed, asked: Asked) -> None:
    if allowed.diagram != DIAGRAM or not allowed.deciders:
        raise Conflict(
            "grant.other-diagram", f"A grant is decided by people, in the process {DIAGRAM!r}."
        )
    if asked.team != allowed.namespace:
        raise Conflict(
            "grant.other-namespace",
            f"This process is of namespace {allowed.namespace!r} and grants nothing elsewhere; "
            "ask in the team's own namespace.",
        )


def _answer(row: Grant, asked: Asked, pattern: str) -> dict[str, Any]:
    if (row.pattern, row.profile, row.until) != (pattern, asked.profile, asked.until):
        raise Conflict("grant.changed", "This process has recorded another grant already.")
    return {"grant": str(row.id), "pattern": row.pattern, "until": row.until.isoformat()}
