"""Registers the tables of tasks with Django."""

from django.apps import AppConfig


class TasksConfig(AppConfig):
    """The app of the tables of tasks."""

    name = "koolflows.store.tasks"
    label = "tasks"
    default_auto_field = "django.db.models.BigAutoField"
