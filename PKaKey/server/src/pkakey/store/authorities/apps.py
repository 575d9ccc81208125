"""Registers the authorities tables with Django."""

from django.apps import AppConfig


class AuthoritiesConfig(AppConfig):
    """The app of the authorities tables."""

    name = "pkakey.store.authorities"
    label = "authorities"
    default_auto_field = "django.db.models.BigAutoField"
