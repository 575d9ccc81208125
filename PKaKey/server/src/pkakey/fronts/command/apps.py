"""Registers the management commands with Django."""

from django.apps import AppConfig


class CommandConfig(AppConfig):
    """The app of the management commands; it has no tables."""

    name = "pkakey.fronts.command"
    label = "command"
