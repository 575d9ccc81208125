"""Registers the tables of instances with Django."""

from django.apps import AppConfig


class InstancesConfig(AppConfig):
    """The app of the tables of instances."""

    name = "koolflows.store.instances"
    label = "instances"
    default_auto_field = "django.db.models.BigAutoField"
