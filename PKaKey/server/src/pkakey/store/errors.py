"""What services and selectors raise beside the engine's `Refused`; each front maps the list.

ServiceError
├── NotPermitted         the principal lacks a permission
├── NotFound             no such thing in the principal's namespace
├── Unauthenticated      the credential is no good, and why
├── Conflict             the request contradicts what is there
└── ServiceUnavailable   a part does not answer; the same request may be sent again
"""

__all__ = [
    "Conflict",
    "NotFound",
    "NotPermitted",
    "ServiceError",
    "ServiceUnavailable",
    "Unauthenticated",
]


class ServiceError(Exception):
    """The common root of what services raise."""


class NotPermitted(ServiceError):  # noqa: N818  # An answer, named by what it says.
    """The principal lacks `permission`."""

    def __init__(self, permission: str) -> None:
        super().__init__(f"This needs the permission {permission}.")
        self.permission = permission


class NotFound(ServiceError):  # noqa: N818  # As above.
    """There is no such `what` in the principal's namespace."""

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no such {what} in this namespace.")
        self.what = what


class Unauthenticated(ServiceError):  # noqa: N818  # As above.
    """The credential proves nobody; `reason` is a stable code: `token.…`, or one of `jwt.…`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Conflict(ServiceError):  # noqa: N818  # As above.
    """The request contradicts what is there; `code` is stable, `detail` a sentence."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class ServiceUnavailable(ServiceError):  # noqa: N818  # As above.
    """`what` ("signer", "database", "redis") does not answer at the moment."""

    def __init__(self, what: str, detail: str) -> None:
        super().__init__(detail)
        self.what = what
        self.detail = detail
