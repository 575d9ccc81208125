"""Registers the audit tables with Django."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The app of the audit tables."""

    name = "pkakey.store.audit"
    label = "audit"
    default_auto_field = "django.db.models.BigAutoField"
