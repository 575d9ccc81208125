"""The envelope that carries an event between services, and its bounded parser."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pkakey_events.types import EVENT_TYPES, Event, Moment, ShortText

MAX_ENVELOPE_BYTES = 256 * 1024
"""The longest JSON text that is parsed. The largest event (1,000 names) stays below it."""


class MalformedEvent(ValueError):  # noqa: N818  # Named by what happened.
    """The bytes are no event that this version knows.

    ``code`` is stable: ``event.too-large``, ``event.unknown-type`` or ``event.malformed``. A
    consumer that is older than its producer meets ``event.unknown-type``: keep such an event for
    later, do not drop it.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Actor(BaseModel):
    """Who caused the event, as the audit log names them."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: Literal["user", "token", "system"]
    id: Annotated[str, Field(min_length=1, max_length=128)]
    name: ShortText


class Envelope(BaseModel):
    """One event with its identity, place and time.

    ``id`` is the outbox row's: the same event delivered twice has the same ``id``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: UUID
    type: Annotated[str, Field(max_length=64)]
    version: Annotated[int, Field(ge=1, le=2**31 - 1)]
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$")]
    occurred_at: Moment
    actor: Actor
    payload: SerializeAsAny[Event]

    @classmethod
    def of(
        cls,
        event: Event,
        *,
        id: UUID,  # noqa: A002  # The field's own name.
        namespace: str,
        occurred_at: datetime,
        actor: Actor,
    ) -> Self:
        """Put the event into an envelope that carries its type and version."""
        return cls(
            id=id,
            type=event.TYPE,
            version=event.VERSION,
            namespace=namespace,
            occurred_at=occurred_at,
            actor=actor,
            payload=event,
        )

    def to_json(self) -> bytes:
        """Return the UTF-8 JSON text that ``parse_envelope`` reads."""
        return self.model_dump_json().encode()

    @field_validator("payload", mode="before")
    @classmethod
    def _read_payload_by_type(cls, value: object, info: ValidationInfo) -> object:
        event_type = EVENT_TYPES.get((info.data.get("type", ""), info.data.get("version", 0)))
        if event_type is None or isinstance(value, Event):
            return value
        return event_type.model_validate(value)

    @model_validator(mode="after")
    def _payload_is_of_the_named_type(self) -> Self:
        if EVENT_TYPES.get((self.type, self.version)) is not type(self.payload):
            raise ValueError("The payload is not of the type and version that the envelope names.")
        return self


class _Heading(BaseModel):
    type: str
    version: int
    payload: dict[str, Any]


def parse_envelope(data: bytes | str) -> Envelope:
    """Return the envelope in this JSON text (UTF-8, at most ``MAX_ENVELOPE_BYTES``).

    Raises ``MalformedEvent``, and nothing else, for whatever else the bytes may be. The detail
    never repeats the values that came.
    """
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    if len(data) > MAX_ENVELOPE_BYTES:
        raise MalformedEvent(
            "event.too-large",
            f"The event has {len(data)} bytes; at most {MAX_ENVELOPE_BYTES} are allowed.",
        )
    try:
        heading = _Heading.model_validate_json(data)
        if (heading.type, heading.version) not in EVENT_TYPES:
            raise MalformedEvent(
                "event.unknown-type",
                "The event's type and version are not known here; update this consumer and "
                "deliver the event again.",
            )
        return Envelope.model_validate_json(data)
    except ValidationError as error:
        places = sorted(
            {".".join(str(part) for part in e["loc"]) or "text" for e in error.errors()}
        )
        raise MalformedEvent(
            "event.malformed", f"The event does not fit its type; look at: {', '.join(places)}."
        ) from None
