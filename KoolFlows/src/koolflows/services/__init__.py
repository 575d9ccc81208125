"""The use cases: fronts get a `Services` as `request.services`.

Only services and selectors open transactions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from theddt_identity import Verifier

from koolflows.services import (
    deciding,
    deploying,
    messaging,
    operating,
    starting,
    timing,
    working,
)
from koolflows.services.outside import Outside
from koolflows.services.principals import Principal

__all__ = ["Outside", "Principal", "Services"]


@dataclass(frozen=True, slots=True)
class Services:
    """Every use case, bound to what it needs from outside; `verifier` knows whose tokens count."""

    outside: Outside
    verifier: Verifier

    def deploy(
        self, *, principal: Principal, files: Mapping[str, bytes], now: datetime
    ) -> tuple[str, int, bool]:
        """Deploy a bundle; return its key, its number and whether it is new."""
        version, is_new = deploying.deploy(principal=principal, files=files, now=now)
        return version.key, version.number, is_new

    def deploy_shipped(self, folder: Path, *, now: datetime) -> list[str]:
        """Deploy the shipped diagrams for every namespace; return the keys of new versions."""
        return deploying.deploy_shipped(folder, now=now)

    def start(
        self,
        *,
        principal: Principal,
        key: str,
        data: Mapping[str, Any],
        now: datetime,
        number: int | None = None,
        business_key: str = "",
        idempotency_key: str | None = None,
    ) -> tuple[UUID, bool]:
        """Start a process; return its id and whether it is new. See `services.starting`."""
        return starting.start(
            principal=principal,
            key=key,
            data=data,
            now=now,
            number=number,
            business_key=business_key,
            idempotency_key=idempotency_key,
            notifies=self.outside.notifies,
        )

    def decide(
        self, *, principal: Principal, task_id: UUID, values: Mapping[str, Any], now: datetime
    ) -> UUID:
        """Decide a task; return its process's id. See `services.deciding`."""
        return deciding.decide(
            principal=principal,
            task_id=task_id,
            values=values,
            now=now,
            notifies=self.outside.notifies,
        )

    def claim(self, *, principal: Principal, task_id: UUID, now: datetime) -> None:
        """Take a task for oneself."""
        deciding.claim(principal=principal, task_id=task_id, now=now)

    def delegate(
        self,
        *,
        principal: Principal,
        task_id: UUID,
        to: str,
        to_name: str,
        reason: str,
        now: datetime,
    ) -> None:
        """Hand a task over to a person, or back to the group."""
        deciding.delegate(
            principal=principal, task_id=task_id, to=to, to_name=to_name, reason=reason, now=now
        )

    def deliver(
        self,
        *,
        principal: Principal,
        name: str,
        business_key: str,
        payload: Mapping[str, Any],
        message_id: str,
        now: datetime,
    ) -> UUID:
        """Deliver a message once; return the id of the process that waited for it."""
        return messaging.deliver(
            principal=principal,
            name=name,
            business_key=business_key,
            payload=payload,
            message_id=message_id,
            now=now,
            notifies=self.outside.notifies,
        )

    def cancel(
        self, *, principal: Principal, instance_id: UUID, reason: str, now: datetime
    ) -> None:
        """End a process before its time."""
        operating.cancel(principal=principal, instance_id=instance_id, reason=reason, now=now)

    def resume(self, *, principal: Principal, instance_id: UUID, now: datetime) -> None:
        """Let a stopped process go on."""
        operating.resume(principal=principal, instance_id=instance_id, now=now)

    def check_migration(
        self, *, principal: Principal, instance_id: UUID, number: int, now: datetime
    ) -> list[str]:
        """Return why a process cannot move to another version of its diagram."""
        return operating.check_migration(
            principal=principal, instance_id=instance_id, number=number, now=now
        )

    def migrate(
        self, *, principal: Principal, instance_id: UUID, number: int, now: datetime
    ) -> None:
        """Move a process to another version of its diagram."""
        operating.migrate(principal=principal, instance_id=instance_id, number=number, now=now)

    def fire_due(self, *, now: datetime) -> int:
        """Fire the timers that are due; return how many processes moved."""
        return timing.fire_due(now=now, notifies=self.outside.notifies)

    def do_due_jobs(self, *, now: datetime, beat: Callable[[], None] = lambda: None) -> int:
        """Do the service tasks that are due, with a beat before each; return how many were done."""
        return working.do_due_jobs(self.outside, now=now, beat=beat)
