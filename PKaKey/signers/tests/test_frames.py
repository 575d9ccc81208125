"""The frame decoder takes octets in any pieces, and nothing that is no frame."""

import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pkakey_signers.frames import (
    MAGIC,
    MAX_ATTACHMENT_BYTES,
    MAX_HEADER_BYTES,
    Frame,
    FrameDecoder,
    FrameError,
    encode_frame,
)
from pkakey_signers.protocol import MAX_CERTIFICATE_BYTES, MAX_CRL_BYTES, attachment_limit

headers = st.dictionaries(st.text(max_size=20), st.text(max_size=50) | st.integers(), max_size=5)


@given(st.lists(st.tuples(headers, st.binary(max_size=300)), max_size=5), st.integers(1, 50))
def test_frames_survive_being_sent_in_pieces(
    sent: list[tuple[Mapping[str, Any], bytes]], size: int
) -> None:
    stream = b"".join(encode_frame(Frame(header, octets)) for header, octets in sent)
    decoder = FrameDecoder()
    received = []
    for start in range(0, len(stream), size):
        decoder.feed(stream[start : start + size])
        while (frame := decoder.next_frame()) is not None:
            received.append((frame.header, frame.attachment))
    assert received == sent
    assert decoder.is_between_frames


@given(st.binary(max_size=300))
def test_no_octets_raise_anything_but_a_frame_error(octets: bytes) -> None:
    decoder = FrameDecoder(attachment_limit)
    decoder.feed(octets)
    with suppress(FrameError):
        while decoder.next_frame() is not None:
            pass


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_no_header_raises_anything_but_a_frame_error(header: bytes, length: int) -> None:
    decoder = FrameDecoder(attachment_limit)
    decoder.feed(struct.pack(">4sHI", MAGIC, len(header), length) + header)
    with suppress(FrameError):
        decoder.next_frame()


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_cut_frame_is_not_yet_a_frame(cut: int) -> None:
    octets = encode_frame(Frame({"op": "health"}, b"12345"))
    decoder = FrameDecoder()
    decoder.feed(octets[:-cut] if cut < len(octets) else b"")
    assert decoder.next_frame() is None


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"X", id="wrong from the first octet on"),
        pytest.param(b"DDS2" + bytes(6), id="another version"),
        pytest.param(b"GET / HTTP/1.1\r\n", id="HTTP"),
        pytest.param(struct.pack(">4sHI", MAGIC, 0, 0), id="empty header"),
        pytest.param(struct.pack(">4sHI", MAGIC, 2, 0) + b"[]", id="header is a list"),
        pytest.param(struct.pack(">4sHI", MAGIC, 2, 0) + b"\xff\xff", id="header is no UTF-8"),
        pytest.param(
            struct.pack(">4sHI", MAGIC, 4096, 0) + b"[" * 4096, id="header is nested too deep"
        ),
    ],
)
def test_garbage_is_refused_at_once(octets: bytes) -> None:
    decoder = FrameDecoder()
    decoder.feed(octets)
    with pytest.raises(FrameError) as caught:
        decoder.next_frame()
    assert not caught.value.too_large


@pytest.mark.parametrize(
    ("header_length", "attachment_length"),
    [(MAX_HEADER_BYTES + 1, 0), (65535, 0), (2, MAX_ATTACHMENT_BYTES + 1), (2, 2**32 - 1)],
)
def test_an_oversized_frame_is_refused_before_its_contents_come(
    header_length: int, attachment_length: int
) -> None:
    decoder = FrameDecoder()
    decoder.feed(struct.pack(">4sHI", MAGIC, header_length, attachment_length))
    with pytest.raises(FrameError) as caught:
        decoder.next_frame()
    assert caught.value.too_large


@pytest.mark.parametrize(
    ("header", "limit"),
    [
        ({"op": "sign", "kind": "certificate"}, MAX_CERTIFICATE_BYTES),
        ({"op": "sign", "kind": "crl"}, MAX_CRL_BYTES),
        ({"op": "sign", "kind": "everything"}, 0),
        ({"op": "sign", "kind": ["crl"]}, 0),
        ({"op": "sign"}, 0),
        ({"op": "health"}, 0),
        ({"op": {}}, 0),
        ({}, 0),
    ],
)
def test_each_request_may_bring_only_what_it_needs(header: dict[str, Any], limit: int) -> None:
    assert attachment_limit(header) == limit


def test_the_limit_of_the_request_is_enforced_from_the_header_alone() -> None:
    decoder = FrameDecoder(attachment_limit)
    decoder.feed(encode_frame(Frame({"op": "sign", "kind": "certificate"}, bytes(100_000)))[:200])
    with pytest.raises(FrameError) as caught:
        decoder.next_frame()
    assert caught.value.too_large


def test_a_frame_that_no_reader_takes_is_not_encoded() -> None:
    with pytest.raises(FrameError):
        encode_frame(Frame({"x": "a" * MAX_HEADER_BYTES}))
    with pytest.raises(FrameError):
        encode_frame(Frame({}, bytes(MAX_ATTACHMENT_BYTES + 1)))
