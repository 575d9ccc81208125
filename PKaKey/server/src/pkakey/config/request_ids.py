"""The request's id: from the gateway to the web process, the signer and the worker's log."""

import re
from contextvars import ContextVar
from typing import Final
from uuid import uuid4

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Anything else could smuggle text into logs and audit entries, and is replaced."""

_current: ContextVar[str] = ContextVar("pkakey_request_id", default="")


def current() -> str:
    """Return the id of the request at work in this thread, or "" when there is none."""
    return _current.get()


def begin(came: object) -> str:
    """Take the id that came, or make one when it is absent or malformed; return it."""
    request_id = came if isinstance(came, str) and REQUEST_ID.fullmatch(came) else str(uuid4())
    _current.set(request_id)
    return request_id


def end() -> None:
    """Forget the id: the work is done."""
    _current.set("")
