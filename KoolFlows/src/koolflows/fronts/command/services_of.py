"""How a command gets its use cases: by the path in the settings, since fronts know no wiring."""

from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from koolflows.services import Services


def services_of_process() -> Services:
    """Return this process's use cases."""
    return cast("Services", import_string(settings.KOOLFLOWS_SERVICES)())
