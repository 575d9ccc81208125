"""Registers the management commands with Django."""

from django.apps import AppConfig


class CommandConfig(AppConfig):
    """The app of the management commands; it has no tables."""

    name = "koolflows.fronts.command"
    label = "command"
