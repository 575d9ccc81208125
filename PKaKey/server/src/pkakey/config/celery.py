"""The Celery application: `celery -A pkakey.config.celery worker` and `… beat`.

The schedule stands here, in code. Every task may run twice without harm, so tasks are acknowledged
after they ran, and what a killed worker had is given to another after a minute.
"""

import os
from datetime import timedelta

import django
from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pkakey.config.settings")
django.setup()

VISIBILITY_SECONDS = 60


def _broker() -> str:
    env = getattr(settings, "ENV", None)
    return "memory://" if env is None else str(env.redis_url_with_password)


@setup_logging.connect
def keep_our_logs(**_: object) -> None:
    """Leave the logs as `config.logs` has set them up."""


app = Celery("pkakey", broker=_broker(), include=["pkakey.config.tasks"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": VISIBILITY_SECONDS},
    task_time_limit=VISIBILITY_SECONDS * 5,
    task_default_queue="pkakey",
    timezone="UTC",
    beat_schedule={
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
            "publish_due_crls": 60,
            "renew_gateway_certificate": 3600,
            "renew_ocsp_responders": 3600,
            "announce_expiring": 3600,
        }.items()
    },
)
