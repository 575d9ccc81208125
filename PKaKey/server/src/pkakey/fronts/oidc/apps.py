"""The Django app of the OIDC front."""

from django.apps import AppConfig


class OIDCConfig(AppConfig):
    """Its templates, and allauth's provider in `provider.py`."""

    name = "pkakey.fronts.oidc"
    label = "oidc_front"
    verbose_name = "OpenID Connect"
