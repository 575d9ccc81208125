"""Messages: delivered once to the process that waits for them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError

from koolflows.services.moving import load, with_retries
from koolflows.services.saving import save
from koolflows.store.context import Principal, require
from koolflows.store.errors import NotFound
from koolflows.store.instances.models import Delivery, Subscription

__all__ = ["deliver"]


def deliver(  # Each is named where it is given.
    *,
    principal: Principal,
    name: str,
    business_key: str,
    payload: Mapping[str, Any],
    message_id: str,
    now: datetime,
    notifies: bool = False,
) -> UUID:
    """Deliver a message to the process with this key that waits for it; return the process's id.

    The same `message_id` again changes nothing. Raises `NotPermitted`, `NotFound("process")` when
    none waits, `ValuesRefused`, `StepFailed`.
    """
    require(principal, "flows:message")

    def act() -> UUID:
        known = Delivery.objects.filter(message_id=message_id).first()
        if known is not None:
            return known.instance_id
        waits = (
            Subscription.objects.filter(name=name, business_key=business_key).order_by("id").first()
        )
        if waits is None:
            raise NotFound("process that waits for this message")
        move, run = load(waits.instance_id, principal, now)
        run.deliver(name, payload)
        move.note("message", name=name, id=message_id)
        save(move, run, notifies=notifies)
        Delivery.objects.create(
            namespace=principal.namespace,
            message_id=message_id,
            instance_id=waits.instance_id,
            at=now,
        )
        return waits.instance_id

    try:
        return with_retries(principal, act)
    except IntegrityError:
        # The same message came twice at once: the other one is delivered.
        return with_retries(principal, act)
