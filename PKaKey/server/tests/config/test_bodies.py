"""A body that nobody wanted is read before the answer, within bounds."""

from collections.abc import Iterable
from io import BytesIO
from typing import Any

import pytest
from pkakey.config import bodies


class Endless:
    """A body without an end."""

    def __init__(self) -> None:
        self.given = 0

    def read(self, size: int) -> bytes:
        self.given += size
        return b"x" * size


def refuse(_: Any, start_response: Any) -> Iterable[bytes]:
    start_response("413 Content Too Large", [])
    return [b"no"]


def ask(stream: Any, **environ: str) -> list[bytes]:
    seen = []
    application = bodies.with_bodies_read(refuse)
    answer = application({"wsgi.input": stream, **environ}, lambda *what: seen.append(what))  # type: ignore[arg-type,return-value]
    assert seen == [("413 Content Too Large", [])]
    return list(answer)


@pytest.mark.parametrize("size", [9_000, 100_000, 3_000_000])
def test_a_refused_body_is_read_to_its_end(size: int) -> None:
    stream = BytesIO(b"x" * size)
    assert ask(stream, CONTENT_LENGTH=str(size)) == [b"no"]
    assert stream.read() == b""


def test_a_body_of_unknown_length_is_read_too() -> None:
    stream = BytesIO(b"x" * 20_000)
    ask(stream, HTTP_TRANSFER_ENCODING="chunked")
    assert stream.read() == b""


def test_a_body_without_an_end_is_given_up() -> None:
    stream = Endless()
    ask(stream, CONTENT_LENGTH="9" * 18)
    assert stream.given == bodies.LARGEST_DRAINED_BYTES


def test_a_body_that_comes_too_slowly_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "LONGEST_DRAIN_SECONDS", 0)
    stream = Endless()
    ask(stream, CONTENT_LENGTH="999999")
    assert stream.given == 0


@pytest.mark.parametrize("length", ["", "0", "8192", "-1", "many"])
def test_small_bodies_and_none_cost_nothing(length: str) -> None:
    stream = Endless()
    ask(stream, CONTENT_LENGTH=length)
    assert stream.given == 0
