"""Registers the tokens tables with Django."""

from django.apps import AppConfig


class TokensConfig(AppConfig):
    """The app of the tokens tables."""

    name = "pkakey.store.tokens"
    label = "tokens"
    default_auto_field = "django.db.models.BigAutoField"
