"""The worker's Celery application: `celery -A pkakey.config.celery worker`.

Every task may run twice without harm, so tasks are acknowledged after they ran, and what a killed
worker had is given to another after a minute. What is due when stands in `config.beat`.
"""

import os

import django
from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

from pkakey.config.metrics import serve_metrics
from pkakey.config.queue import QUEUE, TRANSPORT_OPTIONS, VISIBILITY_SECONDS
from pkakey.config.tracing import begin_tracing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pkakey.config.settings")
django.setup()
begin_tracing("worker")

# Imported for its signals, once the settings say where figures are kept.
from pkakey.config import task_watching  # noqa: E402

if _env := getattr(settings, "ENV", None):
    task_watching.beat_into(_env.heartbeat_file)
    serve_metrics(_env)


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
    broker_transport_options=TRANSPORT_OPTIONS,
    task_time_limit=VISIBILITY_SECONDS * 5,
    task_default_queue=QUEUE,
)
