"""What `ddt doctor` makes of the inventory's state."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ddt.errors import TroubleError

from ddt import inventory_state

NOW = datetime(2126, 5, 17, 12, tzinfo=UTC)


def said(**changes: Any) -> str:
    """Return what the words are for a state like this one; as pesequel prints it, all text."""
    state = {
        "batch": "7", "events": "1234", "waiting": "0", "lag_seconds": "0", "set_aside": "0",
        "last_event_at": "2126-05-17 11:00:00+00:00",
        "delivered_at": "2126-05-17 11:59:58.123456+00:00",
    }  # fmt: skip
    return inventory_state.words(json.dumps(state | changes), now=NOW, log="ddt logs worker")


def test_an_inventory_that_has_everything_is_fine() -> None:
    assert said() == "The inventory holds 1234 events; 0 waited when the relay looked."


def test_a_few_that_were_just_made_are_fine() -> None:
    assert "3 waited" in said(waiting="3", lag_seconds="1.5")


def test_a_lag_is_told_with_its_size() -> None:
    with pytest.raises(TroubleError, match=r"90 s behind, 12 events wait.*ddt logs worker"):
        said(waiting="12", lag_seconds="90.2")


def test_a_relay_that_fell_silent_is_told_even_if_nothing_waited_then() -> None:
    then = (NOW - timedelta(seconds=75)).isoformat(" ")
    with pytest.raises(TroubleError, match=r"not looked for 75 s.*nothing is lost"):
        said(delivered_at=then)


def test_a_relay_that_never_came_is_told() -> None:
    with pytest.raises(TroubleError, match="never delivered"):
        said(delivered_at=None)


def test_events_that_were_set_aside_are_told() -> None:
    with pytest.raises(TroubleError, match=r"2 events were set aside.*rebuild_inventory"):
        said(set_aside="2")


@pytest.mark.parametrize("printed", ["", "{}", "[]", "null", "7", '{"waiting": "x"}', "no JSON"])
def test_what_is_no_state_is_told(printed: str) -> None:
    with pytest.raises(TroubleError, match="as its state"):
        inventory_state.words(printed, now=NOW, log="x")
