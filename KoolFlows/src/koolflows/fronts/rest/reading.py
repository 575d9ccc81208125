"""Reading what came: a bounded JSON parser and the checks of single fields."""

import json
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import IO, Any, Final, NoReturn

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from koolflows.fronts.rest.problems import MAX_BODY_BYTES, Problem, body_problem

IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


class BoundedJSONParser(BaseParser):
    """Parses one JSON object of at most `MAX_BODY_BYTES` octets of UTF-8 (RFC 8259)."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002  # The base class fixes the signature.
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002  # As above.
    ) -> dict[str, Any]:
        """Return the object, or raise a `Problem` that says what is wrong with the body."""
        body: bytes = stream.read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            raise body_problem("body.too-large", f"At most {MAX_BODY_BYTES} octets are read.")
        try:
            text = body.decode()
            value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeError:
            raise body_problem("body.not-utf8", "The request body is not UTF-8.") from None
        except (ValueError, RecursionError) as error:
            raise body_problem(
                "body.not-json", f"The request body is not JSON: {error}. Send one JSON object."
            ) from None
        if not isinstance(value, dict):
            raise body_problem("body.not-an-object", "The request body is no JSON object.")
        return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return names


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class OneRepresentation(BaseContentNegotiation):
    """Answers in the one form that a resource has, whatever `Accept` says (RFC 9110, 12.4.1)."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """Return the parser for the request's media type, or None, which is answered by 415."""
        kind = request.content_type.partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == kind), None)

    def select_renderer(
        self,
        request: Request,  # noqa: ARG002  # The base class fixes the signature.
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,  # noqa: ARG002  # As above.
    ) -> tuple[BaseRenderer, str]:
        """Return the first renderer and its media type."""
        renderer = next(iter(renderers))
        return renderer, renderer.media_type or "application/json"


class Fields:
    """Takes typed fields out of a body or query; `done()` raises all complaints at once."""

    def __init__(self, values: Mapping[str, Any], *, allowed: frozenset[str]) -> None:
        self._values = values
        self._errors: list[dict[str, str]] = []
        for name in values:
            if name not in allowed:
                known = ", ".join(sorted(allowed)) or "none"
                self._refuse(str(name)[:64], f"This field is not known here. Known: {known}.")

    def _refuse(self, name: str, detail: str) -> None:
        self._errors.append({"name": name, "detail": detail})

    def text(self, name: str, *, at_most: int, is_required: bool = False) -> str | None:
        """Return a text of 1 to `at_most` characters, or None when there is none."""
        value = self._values.get(name)
        if value is None:
            if is_required:
                self._refuse(name, "This field is missing. Send a text.")
            return None
        if not isinstance(value, str) or not 1 <= len(value) <= at_most or "\x00" in value:
            self._refuse(name, f"Send a text of 1 to {at_most} characters.")
            return None
        return value

    def required_text(self, name: str, *, at_most: int) -> str:
        """Return a text that has to be there; empty after a complaint."""
        return self.text(name, at_most=at_most, is_required=True) or ""

    def choice(self, name: str, choices: Iterable[str]) -> str | None:
        """Return one of the choices, or None when there is none."""
        value = self.text(name, at_most=64)
        if value is not None and value not in choices:
            self._refuse(name, f"Send one of: {', '.join(choices)}.")
            return None
        return value

    def integer(self, name: str, *, least: int, most: int) -> int | None:
        """Return a whole number within bounds, or None when there is none."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self._refuse(name, f"Send a whole number from {least} to {most}.")
            return None
        return value

    def truth(self, name: str) -> bool:
        """Return true or false; false when there is none."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            self._refuse(name, "Send true or false.")
            return False
        return value

    def object(self, name: str) -> dict[str, Any]:
        """Return a JSON object; empty when there is none."""
        value = self._values.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._refuse(name, "Send a JSON object.")
            return {}
        return value

    def done(self) -> None:
        """Raise when any field cannot be read."""
        if self._errors:
            names = ", ".join(dict.fromkeys(error["name"] for error in self._errors))
            raise Problem(
                HTTPStatus.BAD_REQUEST,
                "request.invalid",
                "Unreadable request",
                f"Some fields cannot be read: {names}. `errors` says what to send in each.",
                errors=self._errors,
            )


def body_of(request: Request, *names: str) -> Fields:
    """Return the fields of a JSON body."""
    values = request.data
    return Fields(values if isinstance(values, dict) else {}, allowed=frozenset(names))


def query_of(request: Request, *names: str) -> Fields:
    """Return the fields of the query; a name that comes twice is refused."""
    for name, values in request.query_params.lists():
        if len(values) > 1:
            raise body_problem("request.invalid", f"'{name[:64]}' comes twice in the query.")
    return Fields(request.query_params.dict(), allowed=frozenset(names))


def idempotency_key_of(request: Request) -> str | None:
    """Return the Idempotency-Key field, or None; raises for one that is none."""
    key: str | None = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        raise body_problem(
            "idempotency.malformed", "Idempotency-Key is 1 to 255 visible ASCII characters."
        )
    return key
