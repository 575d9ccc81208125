"""What services and selectors raise beside the engine's `FlowError`; the front maps the list.

ServiceError
├── NotPermitted         the principal lacks a role, or may not decide this
├── NotFound             no such thing in the principal's namespace
├── Conflict             the request contradicts what is there
└── ServiceUnavailable   a part does not answer; the same request may be sent again
"""

__all__ = ["Conflict", "NotFound", "NotPermitted", "ServiceError", "ServiceUnavailable"]


class ServiceError(Exception):
    """The common root of what services raise."""


class NotPermitted(ServiceError):  # noqa: N818  # An answer, named by what it says.
    """The principal may not do this; `code` is stable, `detail` says what is needed."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class NotFound(ServiceError):  # noqa: N818  # As above.
    """There is no such `what` in the principal's namespace."""

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no such {what} in this namespace.")
        self.what = what


class Conflict(ServiceError):  # noqa: N818  # As above.
    """The request contradicts what is there; `code` is stable, `detail` a sentence."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class ServiceUnavailable(ServiceError):  # noqa: N818  # As above.
    """`what` does not answer at the moment."""

    def __init__(self, what: str, detail: str) -> None:
        super().__init__(detail)
        self.what = what
        self.detail = detail
