"""Registers the outbox tables with Django."""

from django.apps import AppConfig


class OutboxConfig(AppConfig):
    """The app of the outbox tables."""

    name = "pkakey.store.outbox"
    label = "outbox"
    default_auto_field = "django.db.models.BigAutoField"
