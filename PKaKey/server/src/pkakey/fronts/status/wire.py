"""HTTP for the status front: bounded request bodies, and answers with their caching fields."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    WSGIApplication = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]

TEXT: Final = "text/plain; charset=utf-8"
_ENTITY_TAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e]*")')


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response: status, body and fields, not yet written."""

    status: HTTPStatus
    body: bytes
    content_type: str = TEXT
    headers: tuple[tuple[str, str], ...] = field(default=())

    def write(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
        """Send the status line and fields, and return the body (empty for HEAD)."""
        head = [
            ("Content-Type", self.content_type),
            ("Content-Length", str(len(self.body))),
            ("X-Content-Type-Options", "nosniff"),
            *self.headers,
        ]
        start_response(_LINES[self.status], head)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [self.body]


_LINES: Final = {status: f"{status.value} {status.phrase}" for status in HTTPStatus}


def say(status: HTTPStatus, sentence: str, *headers: tuple[str, str]) -> Answer:
    """Return an answer that is one sentence for a person."""
    return Answer(status, f"{sentence}\n".encode(), TEXT, (("Cache-Control", "no-store"), *headers))


def entity_tag(body: bytes) -> str:
    """Return a strong entity tag (RFC 9110 section 8.8.3) for `body`."""
    return f'"{sha256(body).hexdigest()[:32]}"'


def http_date(moment: datetime) -> str:
    """Return `moment` as an IMF-fixdate (RFC 9110 section 5.6.7)."""
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True)


def not_modified(environ: dict[str, Any], *, tag: str, modified_at: datetime) -> bool:
    """Tell whether the client already holds this body (RFC 9110 section 13.1)."""
    tags = environ.get("HTTP_IF_NONE_MATCH")
    if tags is not None:
        # If-None-Match rules alone where both fields came (RFC 9110 section 13.1.3).
        return tags.strip() == "*" or tag in _ENTITY_TAG.findall(tags)
    since = environ.get("HTTP_IF_MODIFIED_SINCE")
    if since is None:
        return False
    try:
        held = parsedate_to_datetime(since)
    except (ValueError, TypeError, OverflowError):
        return False
    if held.tzinfo is None:
        return False
    return modified_at.replace(microsecond=0) <= held


class BodyRefused(Exception):  # noqa: N818  # Named for what happened, as the engine's Refused.
    """The request's body cannot be taken; `answer` says why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def read_body(environ: dict[str, Any], *, at_most: int) -> bytes:
    """Return the request's body, never reading more than `at_most` octets."""
    announced = environ.get("CONTENT_LENGTH") or ""
    if announced:
        if not re.fullmatch(r"[0-9]{1,15}", announced):
            raise BodyRefused(say(HTTPStatus.BAD_REQUEST, "Content-Length is not a number."))
        length = int(announced)
    elif environ.get("wsgi.input_terminated"):
        length = at_most + 1
    else:
        raise BodyRefused(say(HTTPStatus.LENGTH_REQUIRED, "Send the body with a Content-Length."))
    if length > at_most and announced:
        raise _too_large(at_most)
    body: bytes = environ["wsgi.input"].read(length)
    if len(body) > at_most:
        raise _too_large(at_most)
    return body


def _too_large(at_most: int) -> BodyRefused:
    return BodyRefused(
        say(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The request has more than {at_most} octets, which is the most that is read.",
        )
    )
