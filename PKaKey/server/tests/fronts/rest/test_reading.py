"""Bodies and fields: what is read, and how everything else is refused."""

from datetime import UTC, datetime
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pkakey.fronts.rest.problems import MAX_BODY_BYTES, InvalidFields, Problem
from pkakey.fronts.rest.reading import (
    BoundedJSONParser,
    Fields,
    parse_object,
    parse_uuid,
)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"", "body.not-json", id="an empty body"),
        pytest.param(b"{", "body.not-json", id="a truncated object"),
        pytest.param(b'{"a": 1} x', "body.not-json", id="something after the object"),
        pytest.param(b"[]", "body.not-an-object", id="an array"),
        pytest.param(b'"text"', "body.not-an-object", id="a string"),
        pytest.param(b"null", "body.not-an-object", id="null"),
        pytest.param(b"7", "body.not-an-object", id="a number"),
        pytest.param(b'{"a": NaN}', "body.not-json", id="NaN, which JSON lacks"),
        pytest.param(b'{"a": -Infinity}', "body.not-json", id="Infinity, which JSON lacks"),
        pytest.param(b'{"a": 1, "a": 2}', "body.not-json", id="one name twice"),
        pytest.param(b'{"b": {"a": 1, "a": 2}}', "body.not-json", id="one name twice, inside"),
        pytest.param(b'{"a": "\xff"}', "body.not-utf8", id="an octet that UTF-8 never has"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', "body.not-utf8", id="an encoded surrogate"),
        pytest.param(rb'{"a": "\ud800"}', "body.not-utf8", id="an escaped lone surrogate"),
        pytest.param(rb'{"\udfff": 1}', "body.not-utf8", id="a lone surrogate in a name"),
        pytest.param(b'{"a": "\x00"}', "body.not-json", id="a raw NUL"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}", "body.not-json", id="an endless number"),
        pytest.param(b"[" * 100_000, "body.not-json", id="nested without end"),
        pytest.param(b'{"a":' * 50_000, "body.not-json", id="objects nested without end"),
        pytest.param("\ufeff{}".encode(), "body.not-json", id="a byte order mark"),
        pytest.param("{}".encode("utf-16"), "body.not-utf8", id="UTF-16"),
    ],
)
def test_a_body_that_is_no_plain_json_object_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_object(body)
    assert refused.value.code == code
    assert refused.value.detail.endswith(".")


def test_a_body_past_the_limit_is_not_read_to_its_end() -> None:
    stream = BytesIO(b'{"a": "' + b"x" * (2 * MAX_BODY_BYTES) + b'"}')
    with pytest.raises(Problem) as refused:
        BoundedJSONParser().parse(stream)
    assert refused.value.code == "body.too-large"
    assert stream.tell() == MAX_BODY_BYTES + 1


def test_an_object_with_escapes_is_read() -> None:
    assert parse_object(rb'{"a": "\u00e9 \ud83d\ude00"}') == {"a": "é 😀"}


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_octets_are_an_object_or_a_problem(body: bytes) -> None:
    refused = None
    try:
        read = parse_object(body)
    except Problem as problem:
        refused = problem.code
    assert refused.startswith("body.") if refused else isinstance(read, dict)


def complaints(fields: Fields) -> list[tuple[str, str]]:
    with pytest.raises(InvalidFields) as refused:
        fields.done()
    assert all(error.detail.endswith(".") for error in refused.value.errors)
    return [(error.name, error.code) for error in refused.value.errors]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        pytest.param(None, "field.not-text", id="null"),
        pytest.param(7, "field.not-text", id="a number"),
        pytest.param(True, "field.not-text", id="a boolean"),
        pytest.param(["x"], "field.not-text", id="an array"),
        pytest.param({"x": 1}, "field.not-text", id="an object"),
        pytest.param("", "field.length", id="the empty text"),
        pytest.param("x" * 11, "field.length", id="one character too long"),
        pytest.param("a\x00b", "field.nul", id="a NUL, which no text column holds"),
    ],
)
def test_a_text_that_cannot_be_one_is_refused(value: object, code: str) -> None:
    fields = Fields({"csr": value}, allowed=frozenset({"csr"}))
    assert fields.required_text("csr", at_most=10) == ""
    assert complaints(fields) == [("csr", code)]


def test_all_wrong_fields_are_named_at_once() -> None:
    fields = Fields({"extra": 1, "profile": 5}, allowed=frozenset({"csr", "profile"}))
    fields.required_text("csr", at_most=10)
    fields.required_text("profile", at_most=10)
    assert complaints(fields) == [
        ("extra", "field.unknown"),
        ("csr", "field.missing"),
        ("profile", "field.not-text"),
    ]


@pytest.mark.parametrize(
    "value",
    ["tomorrow", "2030-01-31", "2030-01-31T12:00:00", "2030-13-01T00:00:00Z", "20300131T120000Z",
     "0001-01-01T00:00:00+23:59", "2030-01-31T25:00:00Z", "9" * 200, "2030-W01-1T00:00:00Z"],
)  # fmt: skip
def test_a_time_without_date_hour_and_offset_is_refused(value: str) -> None:
    fields = Fields({"t": value}, allowed=frozenset({"t"}))
    assert fields.optional_time("t") is None
    assert complaints(fields) == [("t", "field.not-a-time")]


@pytest.mark.parametrize(
    "value",
    ["2030-01-31T12:00:00Z", "2030-01-31T14:00:00+02:00", "2030-01-31T14:00:00 02:00",
     "2030-01-31t12:00:00.000z"],
)  # fmt: skip
def test_a_time_comes_out_in_utc(value: str) -> None:
    fields = Fields({"t": value}, allowed=frozenset({"t"}))
    assert fields.optional_time("t") == datetime(2030, 1, 31, 12, tzinfo=UTC)
    fields.done()


@pytest.mark.parametrize("value", ["0", "201", "-1", "1.5", "1e2", "٣", "9" * 500, " 5", "0x1"])
def test_a_whole_number_out_of_range_is_refused(value: str) -> None:
    fields = Fields({"n": value}, allowed=frozenset({"n"}))
    assert fields.optional_integer("n", least=1, most=200) is None
    assert complaints(fields)[0][0] == "n"


@pytest.mark.parametrize(
    "text", ["", "x", "{12345678-1234-1234-1234-123456789012}", "1" * 32, "urn:uuid:" + "1" * 32]
)
def test_only_the_36_character_form_is_a_uuid(text: str) -> None:
    assert parse_uuid(text) is None
