"""Registers the tables of definitions with Django."""

from django.apps import AppConfig


class DefinitionsConfig(AppConfig):
    """The app of the tables of definitions."""

    name = "koolflows.store.definitions"
    label = "definitions"
    default_auto_field = "django.db.models.BigAutoField"
