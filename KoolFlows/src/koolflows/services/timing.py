"""Timers: each process that is due is moved once, by whichever worker comes first."""

from datetime import datetime
from typing import Final

from koolflows.engine.errors import FlowError
from koolflows.services.moving import load, record_incident
from koolflows.services.saving import Moved, save
from koolflows.store.context import acting_as, system
from koolflows.store.errors import Conflict
from koolflows.store.reading import rows

__all__ = ["fire_due"]

AT_ONCE: Final = 100


def fire_due(*, now: datetime, notifies: bool = False) -> int:
    """Move the processes whose next timer is due, at most `AT_ONCE`; return how many moved."""
    moved = 0
    for instance_id, namespace in rows("SELECT id, namespace FROM flows.due_instances(%s, %s)",
                                       [now, AT_ONCE]):  # fmt: skip
        principal = system(namespace, "timer")
        try:
            with acting_as(principal):
                move, run = load(instance_id, principal, now)
                if move.instance.next_due_at is None or move.instance.next_due_at > now:
                    continue
                run.tick()
                move.note("timer")
                save(move, run, notifies=notifies)
                moved += 1
        except (Moved, Conflict):
            # Another worker or a person moved it at this moment; the next look sees what is left.
            continue
        except FlowError as error:
            record_incident(principal, instance_id, error, now)
    return moved
