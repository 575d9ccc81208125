"""What services and selectors raise beside the engine's `Refused`; `store.errors` defines it."""

from pkakey.store.errors import (
    Conflict,
    NotFound,
    NotPermitted,
    ServiceError,
    ServiceUnavailable,
    Unauthenticated,
)

__all__ = [
    "Conflict",
    "NotFound",
    "NotPermitted",
    "ServiceError",
    "ServiceUnavailable",
    "Unauthenticated",
]
