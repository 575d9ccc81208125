"""The wire protocol: frames over a Unix stream socket.

A frame is, in this order::

    4 octets  magic "DDS1"
    2 octets  length of the header, big-endian, 2 to 4,096
    4 octets  length of the attachment, big-endian
    header    a JSON object in UTF-8
    attachment  raw octets: what is to be signed, a signature, a certificate, a public key

The reader learns the header first and decides by it how long the attachment may be, so that
nobody makes it hold 32 MiB for a request that needs 300 octets. One request has one answer, in
order.
"""

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

MAGIC = b"DDS1"
MAX_HEADER_BYTES = 4096
MAX_ATTACHMENT_BYTES = 32 * 1024 * 1024
"""The longest attachment of all: a CRL with some 800,000 entries."""

_PREFIX = struct.Struct(">4sHI")
PREFIX_BYTES = _PREFIX.size


class FrameError(ValueError):
    """The octets are no frame. ``too_large`` tells an oversized one from garbage."""

    def __init__(self, detail: str, *, too_large: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.too_large = too_large


@dataclass(frozen=True)
class Frame:
    """A header and its attachment."""

    header: Mapping[str, Any]
    attachment: bytes = b""


def encode_frame(frame: Frame) -> bytes:
    """Return the frame's octets. Raises ``FrameError`` when it is larger than a reader takes."""
    header = json.dumps(frame.header, separators=(",", ":")).encode()
    if len(header) > MAX_HEADER_BYTES:
        raise FrameError(
            f"The header has {len(header)} octets; at most {MAX_HEADER_BYTES} are allowed.",
            too_large=True,
        )
    if len(frame.attachment) > MAX_ATTACHMENT_BYTES:
        raise FrameError(
            f"The attachment has {len(frame.attachment)} octets; at most {MAX_ATTACHMENT_BYTES} "
            "are allowed.",
            too_large=True,
        )
    return b"".join(
        (_PREFIX.pack(MAGIC, len(header), len(frame.attachment)), header, frame.attachment)
    )


def _any_attachment(_header: Mapping[str, Any]) -> int:
    return MAX_ATTACHMENT_BYTES


@dataclass
class FrameDecoder:
    """Turns octets, in whatever pieces they come, into frames.

    ``attachment_limit`` says for a header how many octets may follow. After a ``FrameError`` the
    stream has no known position any more: close it.
    """

    attachment_limit: Callable[[Mapping[str, Any]], int] = _any_attachment
    _octets: bytearray = field(default_factory=bytearray)
    _header: Mapping[str, Any] | None = None
    _attachment_length: int = 0

    @property
    def is_between_frames(self) -> bool:
        """Whether no part of a next frame has come yet."""
        return not self._octets and self._header is None

    def feed(self, octets: bytes) -> None:
        """Take more octets from the stream."""
        self._octets += octets

    def next_frame(self) -> Frame | None:
        """Return the next whole frame, or None when more octets are needed."""
        if self._header is None and not self._read_header():
            return None
        if self._header is None or len(self._octets) < self._attachment_length:
            return None
        frame = Frame(self._header, bytes(self._octets[: self._attachment_length]))
        del self._octets[: self._attachment_length]
        self._header = None
        return frame

    def _read_header(self) -> bool:
        start = bytes(self._octets[: len(MAGIC)])
        if start != MAGIC[: len(start)]:
            raise FrameError("The octets do not begin with the signer protocol's magic 'DDS1'.")
        if len(self._octets) < PREFIX_BYTES:
            return False
        _, header_length, attachment_length = _PREFIX.unpack_from(self._octets)
        if header_length > MAX_HEADER_BYTES or attachment_length > MAX_ATTACHMENT_BYTES:
            raise FrameError(
                f"The frame announces a header of {header_length} and an attachment of "
                f"{attachment_length} octets; at most {MAX_HEADER_BYTES} and "
                f"{MAX_ATTACHMENT_BYTES} are allowed.",
                too_large=True,
            )
        end = PREFIX_BYTES + header_length
        if len(self._octets) < end:
            return False
        header = _parse_header(bytes(self._octets[PREFIX_BYTES:end]))
        limit = self.attachment_limit(header)
        if attachment_length > limit:
            raise FrameError(
                f"The attachment has {attachment_length} octets; at most {limit} are allowed for "
                "this request.",
                too_large=True,
            )
        del self._octets[:end]
        self._header = header
        self._attachment_length = attachment_length
        return True


def _parse_header(text: bytes) -> Mapping[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise FrameError("The frame's header is no JSON text in UTF-8.") from None
    if not isinstance(header, dict):
        raise FrameError("The frame's header is no JSON object.")
    return header
