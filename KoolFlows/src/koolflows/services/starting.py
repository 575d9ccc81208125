"""Starting a process of a diagram."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction

from koolflows.engine.errors import ValuesRefused
from koolflows.engine.forms import check_data, check_values
from koolflows.engine.running import Run
from koolflows.selectors.versions import compiled, latest
from koolflows.services.saving import RUNNING, Move, save
from koolflows.store.context import Principal, acting_as, require
from koolflows.store.errors import Conflict, NotPermitted
from koolflows.store.instances.models import Instance

__all__ = ["start"]


def start(  # Each is named where it is given.
    *,
    principal: Principal,
    key: str,
    data: Mapping[str, Any],
    now: datetime,
    number: int | None = None,
    business_key: str = "",
    idempotency_key: str | None = None,
    notifies: bool = False,
) -> tuple[UUID, bool]:
    """Start a process of the newest version, or of that number; return its id and if it is new.

    The same idempotency key again returns the same process. Raises `NotPermitted`, `NotFound`,
    `ValuesRefused`, `StepFailed`, `Conflict("idempotency.key-reused")`.
    """
    require(principal, "flows:start")
    try:
        with acting_as(principal):
            return _start(
                principal, key, data, now, number, business_key, idempotency_key, notifies=notifies
            )
    except IntegrityError:
        # The same key came twice at once: the other one is there now.
        with acting_as(principal):
            return _known(key, idempotency_key), False


def _start(  # As above.
    principal: Principal,
    key: str,
    data: Mapping[str, Any],
    now: datetime,
    number: int | None,
    business_key: str,
    idempotency_key: str | None,
    *,
    notifies: bool,
) -> tuple[UUID, bool]:
    if (
        idempotency_key is not None
        and Instance.objects.filter(idempotency_key=idempotency_key).exists()
    ):
        return _known(key, idempotency_key), False
    version = latest(key, principal.namespace, number)
    own = version.facts["process"]
    # A program has no roles; that it may start processes, its scope says.
    is_free = principal.is_system or principal.is_program or not own["starters"]
    if not is_free and not principal.roles & set(own["starters"]):
        roles = ", ".join(own["starters"])
        raise NotPermitted("process.starter", f"This process is started by: {roles}.")
    if "process" in data:
        raise ValuesRefused("data.reserved-name", "`process` is what the service itself fills in.")
    clean = check_values(own["form"], data) if own["form"] else check_data(data)
    instance_id = uuid4()
    clean["process"] = {
        "id": str(instance_id),
        "key": key,
        "version": version.number,
        "namespace": principal.namespace,
        "starter": principal.subject,
        "starter_name": principal.name,
        "started_at": now.isoformat(),
    }
    run = Run.start(compiled(version.pk), clean, now)
    if own["key"] and not business_key:
        business_key = str(run.evaluate(own["key"], clean))[:200]
    title = str(run.evaluate(own["title"], clean))[:300] if own["title"] else version.name
    instance = Instance(
        id=instance_id,
        namespace=principal.namespace,
        version=version,
        key=key,
        business_key=business_key,
        title=title,
        state=RUNNING,
        content="",
        data=clean,
        started_by=principal.subject,
        started_by_name=principal.name,
        started_at=now,
        idempotency_key=idempotency_key,
    )
    with transaction.atomic():
        instance.save(force_insert=True)
    move = Move(instance, version, principal, now)
    move.note("started", version=version.number, business_key=business_key)
    save(move, run, notifies=notifies)
    return instance_id, True


def _known(key: str, idempotency_key: str | None) -> UUID:
    instance = Instance.objects.get(idempotency_key=idempotency_key)
    if instance.key != key:
        raise Conflict(
            "idempotency.key-reused",
            "This Idempotency-Key was used to start a process of another diagram.",
        )
    return instance.pk
