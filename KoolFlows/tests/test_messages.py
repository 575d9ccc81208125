"""Messages between processes and from outside: each counts once, whatever else moves meanwhile."""

from typing import Any
from uuid import UUID

import pytest

from KoolFlows.tests.linear import catch, decision, linear, message, throw

PAYLOAD = "{'business_key': order, 'said': said}"


SENDER = linear(
    "sender", throw("Say", "news", PAYLOAD), decision("After"), decision("Last"),
    messages=message("news"),
)  # fmt: skip
RECEIVER = linear(
    "receiver", catch("Hear", "news", "heard"), decision("Heard"),
    messages=message("news"), business_key="order",
)  # fmt: skip


@pytest.fixture
def two(flows: Any) -> Any:
    """A process that sends, and one that waits, then has a task; so has the sender."""
    flows.deploy(SENDER)
    flows.deploy(RECEIVER)
    return flows


def send(two: Any, said: Any = "hello", order: str = "17") -> UUID:
    found: UUID = two.start("sender", {"order": order, "said": said})
    return found


def receiver(two: Any, order: str = "17") -> UUID:
    found: UUID = two.start("receiver", {"order": order})
    return found


def test_a_message_reaches_the_process_with_its_business_key_and_no_other(two: Any) -> None:
    waiting, other = receiver(two), receiver(two, "18")
    send(two)
    two.work()
    assert two.task(waiting).data["heard"]["said"] == "hello"
    assert two.task(other) is None


def test_what_was_sent_is_not_sent_again_when_the_sender_moves_on(two: Any) -> None:
    first = receiver(two)
    sender = send(two)
    two.work()
    # A second one waits for the same message now: it must not get the first one's.
    second = receiver(two)
    two.decide(sender, {"outcome": "on"}, element="After")
    two.work()
    two.decide(sender, {"outcome": "on"}, element="Last")
    two.work()
    assert two.outcome(sender) == ("completed", "Over")
    assert two.kinds(sender).count("job-queued") == 1
    assert two.kinds(first).count("message") == 1
    assert two.kinds(second).count("message") == 0


def test_a_message_that_is_sent_with_the_last_move_is_sent(flows: Any) -> None:
    flows.deploy(linear("last", throw("Say", "news", PAYLOAD), messages=message("news")))
    flows.deploy(RECEIVER)
    waiting = receiver(flows)
    sender = flows.start("last", {"order": "17", "said": "goodbye"})
    assert flows.outcome(sender) == ("completed", "Over")
    flows.work()
    assert flows.task(waiting).data["heard"]["said"] == "goodbye"


def test_a_message_for_which_nobody_waits_is_in_the_history_and_stops_nothing(two: Any) -> None:
    sender = send(two)
    two.work()
    assert two.kinds(sender).count("job-failed") == 1
    assert two.outcome(sender)[0] == "running"
    two.decide(sender, {"outcome": "on"}, element="After")
    two.decide(sender, {"outcome": "on"}, element="Last")
    assert two.outcome(sender) == ("completed", "Over")


@pytest.mark.parametrize("payload", ["'text'", "17", "['a']", "[['a', 'b']]"])
def test_what_a_message_carries_has_names(flows: Any, payload: str) -> None:
    from koolflows.engine.errors import StepFailed

    flows.deploy(linear("odd", throw("Say", "news", payload), messages=message("news")))
    with pytest.raises(StepFailed, match=r"'news' carries .* names and values") as refused:
        flows.start("odd", {})
    assert refused.value.code == "message.payload"
