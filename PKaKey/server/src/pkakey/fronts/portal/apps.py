"""The Django app of the portal."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """Templates, static files and the CMS pages."""

    name = "pkakey.fronts.portal"
    label = "portal"
    verbose_name = "Portal"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to allauth."""
        from pkakey.fronts.portal import receivers  # noqa: F401, PLC0415  # Needs the apps ready.
