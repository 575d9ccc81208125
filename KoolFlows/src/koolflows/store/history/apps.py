"""Registers the tables of history with Django."""

from django.apps import AppConfig


class HistoryConfig(AppConfig):
    """The app of the tables of history."""

    name = "koolflows.store.history"
    label = "history"
    default_auto_field = "django.db.models.BigAutoField"
