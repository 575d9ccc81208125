"""Expressions reach JSON values and nothing else, within bounded steps, time and room."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from koolflows.engine.errors import FlowError
from koolflows.engine.expressions import Budget, Environment, check_expression, statements

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def value(text: str, budget: Budget | None = None, **names: Any) -> Any:
    return Environment(NOW, budget).evaluate(text, names)


def refused(text: str, **names: Any) -> str:
    with pytest.raises(FlowError) as refusal:
        value(text, **names)
    return refusal.value.code


def test_what_diagrams_need_works() -> None:
    request = {"names": ["*.a.test"], "days": 40}
    assert value("any([startswith(n, '*.') for n in request.names])", request=request) is True
    assert value("request.days > 30 and 'x' or 'y'", request=request) == "x"
    assert value("get(request, 'none', 5) + 1", request=request) == 6
    assert value("days_after(now(), 2)") == "2026-05-03T12:00:00+00:00"


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "().__class__.__bases__[0].__subclasses__()",
        "''.join(['a'])",
        "open('/etc/passwd')",
        "eval('1')",
        "lambda: 1",
        "(x := 1)",
        "f'{1}'",
        "getattr(1, 'real')",
        "request._secret",
        "[*range(9)]",
        "2 ** 99999",
        "1 << 99999",
        "await x",
    ],
)
def test_what_reaches_further_is_refused_when_it_is_deployed(text: str) -> None:
    with pytest.raises(FlowError) as refusal:
        check_expression(text)
    assert refusal.value.code == "expression.forbidden"


@pytest.mark.parametrize("text", ["", "1 +", "a b", "import os", "x = 1", "(" * 500, "'\x00'"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(FlowError) as refusal:
        check_expression(text)
    assert refusal.value.code in {"expression.malformed", "expression.forbidden"}


@pytest.mark.parametrize(
    "text", ["'a'.upper", "5 .real", "missing", "[1][5]", "1 / 0", "{}.keys", "int('x')"]
)
def test_what_is_not_there_fails_the_step(text: str) -> None:
    assert refused(text).startswith("expression.")


@pytest.mark.parametrize(
    "text",
    [
        "'a' * 999999999",
        "[0] * 999999999",
        "9" * 100 + " * " + "9" * 100,
        "[[x for x in big] for y in big]",
        "sum([1 for x in big for y in big for z in big])",
    ],
)
def test_no_expression_takes_much_room_or_time(text: str) -> None:
    assert refused(text, big=list(range(1000))).startswith("expression.")


def test_steps_are_counted_over_a_whole_advance() -> None:
    budget = Budget(steps=10)
    value("1 + 1", budget)
    with pytest.raises(FlowError) as refusal:
        for _ in range(10):
            value("1 + 1", budget)
    assert refusal.value.code == "expression.too-long"


@pytest.mark.parametrize(
    "script",
    ["import os", "x", "x.y = 1", "x, y = 1, 2", "def f(): pass", "now = 1", "_x = 1", "x += 1",
     "for x in y: pass", "x = open('a')"],
)  # fmt: skip
def test_a_script_is_a_list_of_assignments(script: str) -> None:
    with pytest.raises(FlowError):
        statements(script)


@given(st.text(max_size=80))
@settings(max_examples=300, deadline=None)
def test_no_text_raises_anything_else(text: str) -> None:
    with suppress(FlowError):
        value(text, request={"names": ["a"]})
