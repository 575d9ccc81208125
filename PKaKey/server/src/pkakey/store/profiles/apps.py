"""Registers the profiles tables with Django."""

from django.apps import AppConfig


class ProfilesConfig(AppConfig):
    """The app of the profiles tables."""

    name = "pkakey.store.profiles"
    label = "profiles"
    default_auto_field = "django.db.models.BigAutoField"
