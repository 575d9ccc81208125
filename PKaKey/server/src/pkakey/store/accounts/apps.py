"""Registers the accounts tables with Django."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """The app of the accounts tables."""

    name = "pkakey.store.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
