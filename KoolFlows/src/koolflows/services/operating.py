"""What operators do with running processes: cancel, let go on, move to a newer diagram."""

from datetime import datetime
from uuid import UUID

from koolflows.engine.errors import StepFailed
from koolflows.engine.moving_over import moved_over
from koolflows.engine.running import Run
from koolflows.selectors.versions import compiled, latest
from koolflows.services.moving import load, with_retries
from koolflows.services.saving import CANCELLED, FAILED, OPEN, RUNNING, WAITING, Move, save, write
from koolflows.store.context import Principal, acting_as, require
from koolflows.store.definitions.models import Version
from koolflows.store.errors import Conflict, NotFound
from koolflows.store.history.models import Entry
from koolflows.store.instances.models import Instance, Subscription
from koolflows.store.jobs.models import Job
from koolflows.store.tasks.models import HumanTask

__all__ = ["cancel", "check_migration", "migrate", "resume"]


def cancel(*, principal: Principal, instance_id: UUID, reason: str, now: datetime) -> None:
    """End a process before its time: who started it may, and an operator. Raises as its kind."""

    def act() -> None:
        instance = _found(instance_id)
        if instance.started_by != principal.subject:
            require(principal, "flows:operate")
        if instance.state not in {RUNNING, FAILED}:
            raise Conflict("instance.over", f"The process is {instance.state} already.")
        version = Version.objects.only("id").get(pk=instance.version_id)
        move = Move(instance, version, principal, now)
        instance.state, instance.ended_at, instance.next_due_at = CANCELLED, now, None
        write(instance)
        HumanTask.objects.filter(instance=instance, state=OPEN).update(state=CANCELLED)
        Job.objects.filter(instance=instance, state=WAITING).update(state=CANCELLED)
        Subscription.objects.filter(instance=instance).delete()
        move.note("cancelled", reason=reason)
        Entry.objects.bulk_create(move.entries)

    with_retries(principal, act)


def resume(*, principal: Principal, instance_id: UUID, now: datetime) -> None:
    """Let a stopped process go on from its last good state, once its cause is mended."""
    require(principal, "flows:operate")

    def act() -> None:
        instance = _found(instance_id)
        if instance.state != FAILED:
            raise Conflict("instance.not-stopped", f"The process is {instance.state}, not stopped.")
        version = Version.objects.defer("specification", "files").get(pk=instance.version_id)
        run = Run.load(compiled(instance.version_id), instance.content, now)
        move = Move(instance, version, principal, now)
        move.note("resumed", code=instance.incident_code)
        run.tick()
        save(move, run)
        Job.objects.filter(instance=instance, state=WAITING).update(next_attempt_at=now)

    with_retries(principal, act)


def check_migration(
    *, principal: Principal, instance_id: UUID, number: int, now: datetime
) -> list[str]:
    """Return why a process cannot move to a version, empty when it can; changes nothing."""
    require(principal, "flows:operate")
    with acting_as(principal):
        move, _ = load(instance_id, principal, now)
        target = latest(move.instance.key, principal.namespace, number)
        _, reasons = _moved(move, target, now)
        return reasons


def migrate(*, principal: Principal, instance_id: UUID, number: int, now: datetime) -> None:
    """Move a process to another version of its diagram, when nothing it passed differs.

    Raises `NotPermitted`, `NotFound`, `Conflict`, `StepFailed("migration.unsafe")`.
    """
    require(principal, "flows:operate")

    def act() -> None:
        move, _ = load(instance_id, principal, now)
        target = latest(move.instance.key, principal.namespace, number)
        if target.pk == move.version.pk:
            raise Conflict("migration.same", f"The process is of version {number} already.")
        run, reasons = _moved(move, target, now)
        if run is None:
            raise StepFailed("migration.unsafe", "It cannot move: " + " ".join(reasons))
        before = move.version.number
        move.instance.version = target
        move.version = target
        move.note("migrated", before=before, after=target.number)
        save(move, run)

    with_retries(principal, act)


def _moved(move: Move, target: Version, now: datetime) -> tuple[Run | None, list[str]]:
    return moved_over(
        compiled(move.version.pk),
        compiled(target.pk),
        move.instance.content,
        now,
        elements=(move.version.facts["elements"], target.facts["elements"]),
    )


def _found(instance_id: UUID) -> Instance:
    instance = Instance.objects.filter(pk=instance_id).first()
    if instance is None:
        raise NotFound("process")
    return instance
