"""The queue between whoever sends background tasks and the worker."""

from typing import Final

QUEUE: Final = "pkakey"
VISIBILITY_SECONDS: Final = 60
"""What a killed worker had is given to another after this time."""
TRANSPORT_OPTIONS: Final = {"visibility_timeout": VISIBILITY_SECONDS}
