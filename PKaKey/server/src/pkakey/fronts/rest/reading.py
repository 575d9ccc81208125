"""Reading what came: a bounded JSON parser and the checks of single fields.

Certificates are asked for on a hot path, where a full serializer costs about 15 %
(it builds a copy of every field for each request); two dictionary look-ups do not.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import IO, Any, Final, NoReturn
from uuid import UUID

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from pkakey.fronts.rest.problems import (
    MAX_BODY_BYTES,
    InvalidField,
    InvalidFields,
    Problem,
    body_too_large,
)

MAX_CSR_CHARACTERS: Final = 64 * 1024
MAX_NAME_CHARACTERS: Final = 255

IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
SERIAL_NUMBER: Final = re.compile(r"[1-9a-f][0-9a-f]{0,39}")
RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)


class BoundedJSONParser(BaseParser):
    """Parses one JSON object of at most `MAX_BODY_BYTES` octets of UTF-8 (RFC 8259).

    Refuses what readers could understand in two ways: names that occur twice, NaN and Infinity,
    and lone surrogates, which no text column can hold.
    """

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
            raise body_too_large()
        return parse_object(body)


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`, or raise a `Problem`."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Problem(
            "body.not-utf8",
            f"The request body is not UTF-8 at octet {error.start}. Send JSON in UTF-8 "
            "(RFC 8259 section 8.1).",
        ) from None
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise Problem(
            "body.not-json",
            f"The request body is not JSON at line {error.lineno}, column {error.colno}: "
            f"{error.msg}. Send one JSON object.",
        ) from None
    except RecursionError:
        raise Problem(
            "body.not-json",
            "The request body is nested too deeply to be read. Send one flat JSON object.",
        ) from None
    except ValueError:
        # Python refuses to build an integer from more than 4,300 digits.
        raise Problem(
            "body.not-json",
            "The request body holds a number that is too long to be read. "
            "Send numbers of at most 18 digits.",
        ) from None
    if not isinstance(value, dict):
        raise Problem(
            "body.not-an-object",
            f"The request body is a JSON {_json_kind(value)}, not an object. "
            'Send an object such as {"csr": "…", "profile": "tls-server"}.',
        )
    # Only an escape can bring in a lone surrogate, since decoding has refused the encoded ones.
    if "\\u" in text:
        _refuse_lone_surrogates(value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise Problem(
            "body.not-json",
            "A name occurs twice in one JSON object, so that its meaning is not certain "
            "(RFC 8259 section 4). Send each name once.",
        )
    return names


def _refuse_constant(name: str) -> NoReturn:
    raise Problem(
        "body.not-json", f"{name} is not JSON (RFC 8259 section 6). Send a number or null."
    )


def _refuse_lone_surrogates(value: Any) -> None:  # noqa: ANN401  # Any JSON value.
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Problem(
            "body.not-utf8",
            "A text in the request body holds half of a surrogate pair, which is no character. "
            "Send the whole character.",
        ) from None


def _json_kind(value: object) -> str:
    kinds = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")


class OneRepresentation(BaseContentNegotiation):
    """Answers in the one form that a resource has, whatever `Accept` says.

    RFC 9110 section 12.4.1 lets a server disregard the field, which is kinder than 406 to a
    client that asks for `application/pkix-cert` and then meets a problem document.
    """

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
    """Takes typed fields out of a body or query, and gathers what is wrong with them.

    Call one method for each field, then `done()`, which raises all complaints at once.
    """

    def __init__(self, values: Mapping[str, Any], *, allowed: frozenset[str]) -> None:
        self._values = values
        self._errors: list[InvalidField] = []
        for name in values:
            if name not in allowed:
                known = ", ".join(sorted(allowed)) or "none"
                self._refuse(
                    str(name)[:64],
                    "field.unknown",
                    f"This field is not known here. Known fields: {known}.",
                )

    def _refuse(self, name: str, code: str, detail: str) -> None:
        self._errors.append(InvalidField(name=name, code=code, detail=detail))

    def required_text(self, name: str, *, at_most: int) -> str:
        """Return a text of 1 to `at_most` characters; the empty text after a complaint."""
        if name not in self._values:
            self._refuse(name, "field.missing", "This field is missing. Send a text.")
            return ""
        return self.optional_text(name, at_most=at_most, nullable=False) or ""

    def optional_text(self, name: str, *, at_most: int, nullable: bool = True) -> str | None:
        """Return a text of 1 to `at_most` characters, or None when there is none."""
        value = self._values.get(name)
        if value is None and (nullable or name not in self._values):
            return None
        if not isinstance(value, str):
            self._refuse(name, "field.not-text", f"A JSON {_json_kind(value)} came. Send a text.")
        elif not value or len(value) > at_most:
            self._refuse(
                name,
                "field.length",
                f"The text has {len(value)} characters. Send between 1 and {at_most}.",
            )
        elif "\x00" in value:
            self._refuse(name, "field.nul", "The text holds a NUL character. Leave it out.")
        else:
            return value
        return None

    def optional_choice(self, name: str, choices: frozenset[str]) -> str | None:
        """Return one of `choices`, or None when the field is absent."""
        value = self.optional_text(name, at_most=MAX_NAME_CHARACTERS)
        if value is not None and value not in choices:
            self._refuse(
                name,
                "field.not-a-choice",
                f"{value[:64]!r} is not allowed. Allowed: {', '.join(sorted(choices))}.",
            )
            return None
        return value

    def choices(self, name: str, choices: frozenset[str]) -> frozenset[str]:
        """Return a set of one or more of `choices`, which came as a JSON array."""
        value = self._values.get(name)
        allowed = ", ".join(sorted(choices))
        if not isinstance(value, list) or not value:
            self._refuse(
                name, "field.not-a-list", f"Send a JSON array with one or more of: {allowed}."
            )
            return frozenset()
        for item in value:
            if not isinstance(item, str) or item not in choices:
                self._refuse(
                    name,
                    "field.not-a-choice",
                    f"{str(item)[:64]!r} is not allowed. Allowed: {allowed}.",
                )
                return frozenset()
        return frozenset(value)

    def optional_uuid(self, name: str) -> UUID | None:
        """Return a UUID (RFC 9562 text form), or None when the field is absent."""
        value = self.optional_text(name, at_most=MAX_NAME_CHARACTERS)
        if value is None:
            return None
        if (identifier := parse_uuid(value)) is None:
            self._refuse(
                name, "field.not-a-uuid", f"{value[:64]!r} is not a UUID. Send one of `GET` lists."
            )
        return identifier

    def optional_time(self, name: str) -> datetime | None:
        """Return an aware time in UTC (RFC 3339 with an offset), or None when absent."""
        value = self.optional_text(name, at_most=MAX_NAME_CHARACTERS)
        if value is None:
            return None
        # A "+" that a client left unescaped in a query arrives as a space.
        moment = parse_time(value.replace(" ", "+"))
        if moment is None:
            self._refuse(
                name,
                "field.not-a-time",
                f"{value[:64]!r} is not a time. Send RFC 3339, such as 2030-01-31T12:00:00Z.",
            )
        return moment

    def optional_integer(self, name: str, *, least: int, most: int) -> int | None:
        """Return a whole number of a query, between `least` and `most`, or None when absent."""
        value = self.optional_text(name, at_most=MAX_NAME_CHARACTERS)
        if value is None:
            return None
        if re.fullmatch(r"[0-9]{1,9}", value) and least <= int(value) <= most:
            return int(value)
        self._refuse(
            name,
            "field.not-in-range",
            f"{value[:64]!r} is not allowed. Send a whole number from {least} to {most}.",
        )
        return None

    def refuse(self, name: str, code: str, detail: str) -> None:
        """Add a complaint that only the caller can know."""
        self._refuse(name, code, detail)

    def done(self) -> None:
        """Raise `InvalidFields` when there was a complaint."""
        if self._errors:
            raise InvalidFields(self._errors)


def parse_uuid(text: str) -> UUID | None:
    """Return the UUID that `text` is in the 36-character form, or None."""
    if not re.fullmatch(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", text):
        return None
    return UUID(text)


def parse_time(text: str) -> datetime | None:
    """Return the time in UTC that `text` is in RFC 3339 form with an offset, or None."""
    if not RFC3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def query_of(request: Request, *, allowed: frozenset[str]) -> Fields:
    """Return the query's fields; one that came twice is refused as ambiguous."""
    fields = Fields(request.query_params.dict(), allowed=allowed)
    for name, values in request.query_params.lists():
        if len(values) > 1:
            fields.refuse(name[:64], "field.repeated", "This field came twice. Send it once.")
    return fields


def body_of(request: Request, *, allowed: frozenset[str]) -> Fields:
    """Return the fields of the request's JSON object."""
    data = request.data
    # Without any body DRF hands over an empty form rather than calling the parser.
    return Fields(data if isinstance(data, Mapping) else {}, allowed=allowed)


def idempotency_key_of(request: Request) -> str | None:
    """Return the Idempotency-Key field's value: 1 to 255 visible ASCII characters, or None."""
    key: str | None = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        raise Problem(
            "idempotency.key-malformed",
            "The Idempotency-Key field is not 1 to 255 visible ASCII characters. "
            "Send a random value such as a UUID, and the same one when you repeat the request.",
        )
    return key
