"""The little DER (X.690) that the engine writes and reads itself.

Certificates and CSRs go through ``cryptography``. CRL lists (which must stay linear), OCSP messages
with several certificates and the joining of signed bytes with their signature are done here.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

__all__ = [
    "Malformed",
    "Reader",
    "bit_string",
    "enumerated",
    "explicit",
    "generalized_time",
    "integer",
    "octet_string",
    "sequence",
    "time",
    "tlv",
]

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OBJECT_IDENTIFIER = 0x06
ENUMERATED = 0x0A
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31

_SHORT_FORM_LIMIT = 0x80
_MAX_LENGTH_OCTETS = 4
_UTC_TIME_LAST_YEAR = 2049
_HIGH_TAG = 0x1F


class Malformed(Exception):  # noqa: N818 - caught by the parsers beside, never by callers.
    """The bytes are not the DER that is expected here."""


def tlv(tag: int, content: bytes) -> bytes:
    """Return one element: tag octet, definite minimal length (X.690 section 10.1), content."""
    size = len(content)
    if size < _SHORT_FORM_LIMIT:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _SHORT_FORM_LIMIT | len(octets))) + octets + content


def sequence(*parts: bytes) -> bytes:
    """Return a SEQUENCE (or SEQUENCE OF) of elements that are already encoded."""
    return tlv(SEQUENCE, b"".join(parts))


def sequence_of(parts: Iterable[bytes]) -> bytes:
    """Return a SEQUENCE OF elements that are already encoded, in one pass over them."""
    return tlv(SEQUENCE, b"".join(parts))


def explicit(number: int, content: bytes) -> bytes:
    """Return an element under the constructed context tag ``[number]``."""
    return tlv(0xA0 | number, content)


def integer(value: int) -> bytes:
    """Return a non-negative INTEGER, with the leading zero octet where the sign bit needs one."""
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def enumerated(value: int) -> bytes:
    """Return a non-negative ENUMERATED."""
    return tlv(ENUMERATED, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def octet_string(content: bytes) -> bytes:
    """Return an OCTET STRING."""
    return tlv(OCTET_STRING, content)


def bit_string(content: bytes) -> bytes:
    """Return a BIT STRING of whole octets."""
    return tlv(BIT_STRING, b"\x00" + content)


def _after_the_year(moment: datetime) -> str:
    # Written out, since strftime takes five times as long.
    return (
        f"{moment.month:02d}{moment.day:02d}{moment.hour:02d}{moment.minute:02d}"
        f"{moment.second:02d}Z"
    )


def generalized_time(moment: datetime) -> bytes:
    """Return a GeneralizedTime to the second in UTC, as RFC 5280 section 4.1.2.5.2 wants it."""
    moment = moment.astimezone(UTC)
    return tlv(GENERALIZED_TIME, f"{moment.year:04d}{_after_the_year(moment)}".encode("ascii"))


def time(moment: datetime) -> bytes:
    """Return UTCTime through 2049 and GeneralizedTime after (RFC 5280 section 4.1.2.5)."""
    moment = moment.astimezone(UTC)
    if moment.year > _UTC_TIME_LAST_YEAR:
        return generalized_time(moment)
    return tlv(UTC_TIME, f"{moment.year % 100:02d}{_after_the_year(moment)}".encode("ascii"))


class Reader:
    """A strict reader over one run of DER elements; every complaint is ``Malformed``."""

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self._data = data
        self._position = start
        self._end = len(data) if end is None else end

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left."""
        return self._position >= self._end

    def peek(self) -> int:
        """Return the next tag octet, or -1 at the end."""
        return self._data[self._position] if self._position < self._end else -1

    def _bounds(self) -> tuple[int, int, int]:
        """Return tag, content start and content end of the next element, and step over it."""
        data, position, end = self._data, self._position, self._end
        if end - position < 2:  # noqa: PLR2004 - a tag and a length octet.
            raise Malformed("An element is cut short.")
        tag, size = data[position], data[position + 1]
        position += 2
        if tag & _HIGH_TAG == _HIGH_TAG:
            raise Malformed("A tag has the long form, which nothing here uses.")
        if size >= _SHORT_FORM_LIMIT:
            octets = size & 0x7F
            if not 1 <= octets <= _MAX_LENGTH_OCTETS or end - position < octets:
                raise Malformed("A length is indefinite, too long or cut short.")
            size = int.from_bytes(data[position : position + octets], "big")
            if size < _SHORT_FORM_LIMIT or size >> (8 * (octets - 1)) == 0:
                raise Malformed("A length is not encoded in the fewest octets.")
            position += octets
        if end - position < size:
            raise Malformed("An element reaches past its end.")
        self._position = position + size
        return tag, position, position + size

    def element(self) -> tuple[int, bytes]:
        """Return tag and whole encoding (tag and length included) of the next element."""
        start = self._position
        tag, _, end = self._bounds()
        return tag, self._data[start:end]

    def content(self, tag: int) -> bytes:
        """Return the content of the next element, which must have this tag."""
        found, start, end = self._bounds()
        if found != tag:
            raise Malformed(f"Tag 0x{tag:02x} was expected and 0x{found:02x} came.")
        return self._data[start:end]

    def enter(self, tag: int) -> "Reader":
        """Return a reader over the content of the next element, which must have this tag."""
        found, start, end = self._bounds()
        if found != tag:
            raise Malformed(f"Tag 0x{tag:02x} was expected and 0x{found:02x} came.")
        return Reader(self._data, start, end)

    def non_negative_integer(self, max_octets: int) -> int:
        """Return the next INTEGER; negative, padded or longer ones are malformed."""
        content = self.content(INTEGER)
        if not content or len(content) > max_octets or content[0] & 0x80:
            raise Malformed("An integer is empty, negative or too long.")
        if len(content) > 1 and content[0] == 0 and not content[1] & 0x80:
            raise Malformed("An integer is not encoded in the fewest octets.")
        return int.from_bytes(content, "big")

    def elements(self) -> Iterator[tuple[int, bytes]]:
        """Yield tag and whole encoding of each remaining element."""
        while not self.exhausted:
            yield self.element()

    def finish(self) -> None:
        """Complain unless everything was read."""
        if not self.exhausted:
            raise Malformed("Bytes follow where the structure ends.")
