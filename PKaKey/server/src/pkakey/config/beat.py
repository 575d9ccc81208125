"""What is due when, and the process that sends it: `celery -A pkakey.config.beat beat`.

It only writes names of tasks to the queue, so it needs no Django, and 90 MB less.
"""

from datetime import timedelta

from celery import Celery
from celery.signals import setup_logging

from pkakey.config.env import Env
from pkakey.config.logs import configure_logs
from pkakey.config.metrics import keep_metrics, serve_metrics
from pkakey.config.queue import QUEUE, TRANSPORT_OPTIONS
from pkakey.config.tracing import begin_tracing

SCHEDULE = {
    name: {
        "task": f"pkakey.config.tasks.{name}",
        "schedule": timedelta(seconds=seconds),
        # A beat that finds no worker must not pile up work.
        "options": {"expires": seconds},
    }
    for name, seconds in {
        "relay_outbox": 2,
        "deliver_to_inventory": 2,
        "reconcile_intents": 30,
        "reconcile_granted": 60,
        "publish_due_crls": 60,
        "renew_gateway_certificate": 3600,
        "renew_ocsp_responders": 3600,
        "announce_expiring": 3600,
    }.items()
}


def make_app() -> Celery:
    """Return the scheduler's Celery application, after setting logs and figures up."""
    env = Env.load()
    configure_logs(env.log_level)
    keep_metrics(env)
    begin_tracing("beat")
    # Imported for its signals, once it is known where figures are kept.
    from pkakey.config import task_watching  # noqa: PLC0415

    task_watching.beat_into(env.heartbeat_file)
    serve_metrics(env)
    # Without fixups: Celery's own for Django would load the whole site.
    application = Celery("pkakey", broker=env.redis_url_with_password, fixups=[])
    application.conf.update(
        broker_connection_retry_on_startup=True,
        broker_transport_options=TRANSPORT_OPTIONS,
        task_default_queue=QUEUE,
        timezone="UTC",
        beat_schedule=SCHEDULE,
    )
    return application


@setup_logging.connect
def keep_our_logs(**_: object) -> None:
    """Leave the logs as `config.logs` has set them up."""


def __getattr__(name: str) -> Celery:
    """Make the application when Celery asks for it: the tests read the schedule without one."""
    if name != "app":
        raise AttributeError(name)
    return make_app()
