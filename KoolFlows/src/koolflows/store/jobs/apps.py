"""Registers the tables of jobs with Django."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """The app of the tables of jobs."""

    name = "koolflows.store.jobs"
    label = "jobs"
    default_auto_field = "django.db.models.BigAutoField"
