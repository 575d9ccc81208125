"""The background tasks: each is one call of a use case with the present time."""

from datetime import UTC, datetime

from celery import shared_task

from pkakey.config import wiring


def _now() -> datetime:
    return datetime.now(tz=UTC)


@shared_task
def relay_outbox() -> None:
    """Deliver waiting events to the event stream."""
    wiring.services().relay_outbox(now=_now())


@shared_task
def deliver_to_inventory() -> None:
    """Deliver waiting events to PeSequel's inventory."""
    wiring.services().deliver_to_inventory()


@shared_task
def reconcile_intents() -> None:
    """Finish intents that were left open."""
    wiring.services().reconcile_intents(now=_now())


@shared_task
def reconcile_granted() -> None:
    """Finish requests within a grant that were left open."""
    wiring.services().reconcile_granted(now=_now())


@shared_task
def publish_due_crls() -> None:
    """Publish CRLs before their nextUpdate, and drop old ones."""
    services = wiring.services()
    services.publish_due_crls(now=_now())
    services.drop_old_crls()


@shared_task
def renew_gateway_certificate() -> None:
    """Renew the gateway's certificate in the last third of its life."""
    wiring.services().renew_gateway_certificate(now=_now())


@shared_task
def renew_ocsp_responders() -> None:
    """Renew OCSP responders in the last third of their lives."""
    wiring.services().renew_ocsp_responders(now=_now())


@shared_task
def announce_expiring() -> None:
    """Announce certificates that end soon."""
    wiring.services().announce_expiring(now=_now())
