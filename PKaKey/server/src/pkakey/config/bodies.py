"""What happens to a request's body that nobody wanted."""

from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import InputStream, StartResponse, WSGIApplication, WSGIEnvironment

SMALL_BODY_BYTES: Final = 8 * 1024
LARGEST_DRAINED_BYTES: Final = 64 * 1024 * 1024
LONGEST_DRAIN_SECONDS: Final = 20.0
_CHUNK_BYTES: Final = 64 * 1024


def with_bodies_read(application: "WSGIApplication") -> "WSGIApplication":
    """Return the application, which reads what it refused to use before it answers.

    A server closes a connection on which something is left to read, and the gateway then tells
    the client of a broken back end instead of passing our answer on. What is longer or slower than
    the bounds meets just that.
    """

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        response = application(environ, start_response)
        length = environ.get("CONTENT_LENGTH", "")
        is_long = length.isdecimal() and int(length) > SMALL_BODY_BYTES
        if is_long or "HTTP_TRANSFER_ENCODING" in environ:
            _drain(environ["wsgi.input"])
        return response

    return answer


def _drain(stream: "InputStream") -> None:
    left, deadline = LARGEST_DRAINED_BYTES, monotonic() + LONGEST_DRAIN_SECONDS
    while left > 0 and monotonic() < deadline:
        chunk = stream.read(_CHUNK_BYTES)
        if not chunk:
            return
        left -= len(chunk)
