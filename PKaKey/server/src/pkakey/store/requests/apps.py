"""Registers the requests tables with Django."""

from django.apps import AppConfig


class RequestsConfig(AppConfig):
    """The app of the requests tables."""

    name = "pkakey.store.requests"
    label = "requests"
    default_auto_field = "django.db.models.BigAutoField"
