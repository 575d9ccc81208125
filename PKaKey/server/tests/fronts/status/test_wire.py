"""HTTP for the status front: bodies, dates and conditional requests."""

from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pkakey.fronts.status.wire import BodyRefused, entity_tag, http_date, not_modified, read_body

MODIFIED = datetime(2030, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)
TAG = entity_tag(b"list")


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        pytest.param({"CONTENT_LENGTH": "11"}, 413, id="announced one octet too long"),
        pytest.param({"CONTENT_LENGTH": "9" * 15}, 413, id="announced huge"),
        pytest.param({"CONTENT_LENGTH": "9" * 16}, 400, id="a length that is no number of ours"),
        pytest.param({"CONTENT_LENGTH": "-1"}, 400, id="a negative length"),
        pytest.param({"CONTENT_LENGTH": "+1"}, 400, id="a signed length"),
        pytest.param({"CONTENT_LENGTH": "1_0"}, 400, id="a length as Python alone writes it"),
        pytest.param({}, 411, id="no length, on a stream that may never end"),
        pytest.param({"wsgi.input_terminated": True}, 413, id="chunked, and longer than announced"),
    ],
)
def test_a_body_that_is_too_long_or_of_unknown_length_is_refused(
    environ: dict[str, Any], status: int
) -> None:
    stream = BytesIO(b"x" * 100)
    with pytest.raises(BodyRefused) as refused:
        read_body({**environ, "wsgi.input": stream}, at_most=10)
    assert refused.value.answer.status == status
    assert stream.tell() <= 11


def test_a_short_body_is_read_whole() -> None:
    environ = {"CONTENT_LENGTH": "10", "wsgi.input": BytesIO(b"x" * 10)}
    assert read_body(environ, at_most=10) == b"x" * 10


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_IF_NONE_MATCH": TAG},
        {"HTTP_IF_NONE_MATCH": f'"other", W/{TAG}'},
        {"HTTP_IF_NONE_MATCH": "*"},
        {"HTTP_IF_MODIFIED_SINCE": http_date(MODIFIED)},
        {"HTTP_IF_MODIFIED_SINCE": http_date(MODIFIED + timedelta(days=1))},
    ],
)
def test_a_client_that_holds_the_body_is_told_so(headers: dict[str, str]) -> None:
    assert not_modified(headers, tag=TAG, modified_at=MODIFIED)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"HTTP_IF_NONE_MATCH": '"other"'},
        {"HTTP_IF_NONE_MATCH": TAG.strip('"')},
        {"HTTP_IF_NONE_MATCH": '"other"', "HTTP_IF_MODIFIED_SINCE": http_date(MODIFIED)},
        {"HTTP_IF_MODIFIED_SINCE": http_date(MODIFIED - timedelta(seconds=1))},
        {"HTTP_IF_MODIFIED_SINCE": "yesterday"},
        {"HTTP_IF_MODIFIED_SINCE": "Thu, 31 Jan 2030 12:00:00 -0000"},
        {"HTTP_IF_MODIFIED_SINCE": "Thu, 99 Jan 99999 12:00:00 GMT"},
    ],
)
def test_everyone_else_gets_the_body(headers: dict[str, str]) -> None:
    assert not not_modified(headers, tag=TAG, modified_at=MODIFIED)


@settings(deadline=None)
@given(st.text(), st.text())
def test_no_condition_breaks_the_comparison(tags: str, since: str) -> None:
    not_modified({"HTTP_IF_NONE_MATCH": tags}, tag=TAG, modified_at=MODIFIED)
    not_modified({"HTTP_IF_MODIFIED_SINCE": since}, tag=TAG, modified_at=MODIFIED)
