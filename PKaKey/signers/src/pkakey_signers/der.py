"""Just enough DER to wrap to-be-signed bytes and to look at their first fields.

Everything else is left to ``cryptography``'s parser, which gets the wrapped structure.
"""

from dataclasses import dataclass

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
ENUMERATED = 0x0A
SEQUENCE = 0x30
CONTEXT_0 = 0xA0

_SHORT_FORM_LIMIT = 0x80
_MAX_LENGTH_OCTETS = 4


class NotDER(ValueError):  # noqa: N818  # Named by what the octets are.
    """The octets are no DER, as far as this module looks."""


@dataclass(frozen=True)
class Element:
    """One element: its tag, its contents and its whole encoding."""

    tag: int
    contents: bytes
    encoding: bytes


def encode(tag: int, *contents: bytes) -> bytes:
    """Return the DER of one element with these contents."""
    body = b"".join(contents)
    if len(body) < _SHORT_FORM_LIMIT:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, _SHORT_FORM_LIMIT | len(length))) + length + body


def first_elements(octets: bytes, *, count: int) -> list[Element]:
    """Return the first ``count`` elements inside the outermost SEQUENCE (fewer when it ends)."""
    start, end = _bounds(octets, 0)
    if octets[0] != SEQUENCE or end != len(octets):
        raise NotDER("The octets are not one SEQUENCE.")
    elements: list[Element] = []
    position = start
    while position < end and len(elements) < count:
        inner_start, inner_end = _bounds(octets, position)
        if inner_end > end:
            raise NotDER("An element is longer than what it is in.")
        elements.append(
            Element(octets[position], octets[inner_start:inner_end], octets[position:inner_end])
        )
        position = inner_end
    return elements


def _bounds(octets: bytes, position: int) -> tuple[int, int]:
    """Return where the contents of the element at ``position`` begin and end."""
    if position + 2 > len(octets):
        raise NotDER("The octets end inside an element.")
    first = octets[position + 1]
    start = position + 2
    length = first
    if first >= _SHORT_FORM_LIMIT:
        count = first & 0x7F
        digits = octets[start : start + count]
        if not 1 <= count <= _MAX_LENGTH_OCTETS or len(digits) != count or digits[0] == 0:
            raise NotDER("A length is not in its shortest form.")
        length = int.from_bytes(digits, "big")
        if length < _SHORT_FORM_LIMIT:
            raise NotDER("A length is not in its shortest form.")
        start += count
    if start + length > len(octets):
        raise NotDER("The octets end inside an element.")
    return start, start + length
