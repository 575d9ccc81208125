"""Registers the certificates tables with Django."""

from django.apps import AppConfig


class CertificatesConfig(AppConfig):
    """The app of the certificates tables."""

    name = "pkakey.store.certificates"
    label = "certificates"
    default_auto_field = "django.db.models.BigAutoField"
