"""The errors of services and selectors, for the fronts."""

from koolflows.engine.errors import DiagramRefused, Finding, FlowError, StepFailed, ValuesRefused
from koolflows.store.errors import (
    Conflict,
    NotFound,
    NotPermitted,
    ServiceError,
    ServiceUnavailable,
)

__all__ = [
    "Conflict",
    "DiagramRefused",
    "Finding",
    "FlowError",
    "NotFound",
    "NotPermitted",
    "ServiceError",
    "ServiceUnavailable",
    "StepFailed",
    "ValuesRefused",
]
