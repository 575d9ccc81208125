"""Moving a process: read, move, save; again from the start when somebody else came first."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from koolflows.engine.errors import FlowError
from koolflows.engine.running import Run
from koolflows.selectors.versions import compiled
from koolflows.services.saving import FAILED, RUNNING, Move, Moved, write
from koolflows.store.context import Principal, acting_as
from koolflows.store.definitions.models import Version
from koolflows.store.errors import Conflict, NotFound
from koolflows.store.history.models import Entry
from koolflows.store.instances.models import Instance

logger = logging.getLogger(__name__)

ATTEMPTS: Final = 8
T = TypeVar("T")


def load(instance_id: UUID, principal: Principal, now: datetime) -> tuple[Move, Run]:
    """Return a running process, ready to be moved. Raises `NotFound`, `Conflict`."""
    instance = Instance.objects.filter(pk=instance_id).first()
    if instance is None:
        raise NotFound("process")
    if instance.state != RUNNING:
        raise Conflict(
            "instance.not-running", f"The process is {instance.state} and does not move."
        )
    version = Version.objects.defer("specification", "files").get(pk=instance.version_id)
    run = Run.load(compiled(instance.version_id), instance.content, now)
    return Move(instance, version, principal, now), run


def with_retries(principal: Principal, act: Callable[[], T]) -> T:
    """Call `act` in a transaction as the principal, again as long as others come first."""
    for _ in range(ATTEMPTS):
        try:
            with acting_as(principal):
                return act()
        except Moved:
            continue
    raise Conflict(
        "instance.busy", "The process is being moved by others all the time. Try again in a moment."
    )


def record_incident(
    principal: Principal, instance_id: UUID, error: FlowError, now: datetime
) -> None:
    """Stop a process at its last good state, and say why; an operator may let it go on."""
    logger.error("Process %s stopped: %s: %s", instance_id, error.code, error.detail)

    def stop() -> None:
        instance = Instance.objects.filter(pk=instance_id, state=RUNNING).first()
        if instance is None:
            return
        version = Version.objects.only("id").get(pk=instance.version_id)
        move = Move(instance, version, principal, now)
        instance.state = FAILED
        instance.incident_code = error.code[:60]
        instance.incident_detail = error.detail[:500]
        instance.next_due_at = None
        write(instance)
        move.note("incident", error.element, code=error.code, detail=error.detail)
        Entry.objects.bulk_create(move.entries)

    with_retries(principal, stop)
