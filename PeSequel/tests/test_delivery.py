"""The consumer of events: whatever order and however often they come, the rows are the same."""

import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg import sql

from PeSequel.tests import world

Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
def writer(empty_data_database: str, data_dsn: Callable[[str], str]) -> Iterator[Any]:
    """Sign in as the relay does."""
    with psycopg.connect(data_dsn("inventory_writer"), autocommit=True) as connection:
        yield connection


@pytest.fixture
def content(empty_data_database: str) -> Callable[[], Rows]:
    """Return every table of the inventory row by row, but for the count of batches."""

    def read() -> Rows:
        with psycopg.connect(empty_data_database) as admin:
            tables = admin.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = 'inventory'::regnamespace "
                "AND relkind = 'r' AND relname <> 'progress' ORDER BY 1"
            ).fetchall()
            return {
                table: sorted(
                    admin.execute(
                        sql.SQL("SELECT t.*::text FROM inventory.{} t").format(
                            sql.Identifier(table)
                        )
                    ).fetchall()
                )
                for (table,) in tables
            }

    return read


def deliver(connection: Any, events: list[dict[str, Any]]) -> int:
    batch: int = connection.execute(
        "SELECT inventory.deliver(%s)", [json.dumps(events)]
    ).fetchone()[0]
    return batch


@pytest.fixture
def expected(writer: Any, content: Callable[[], Rows]) -> Rows:
    """Return the rows that all events in one batch give; the inventory is empty again."""
    deliver(writer, world.events())
    rows = content()
    assert all(rows[table] for table in rows if table not in {"set_aside", "early_revocation"})
    writer.execute("SELECT inventory.reset()")
    assert not any(content().values())
    return rows


def test_a_batch_that_comes_twice_changes_nothing(
    writer: Any, content: Callable[[], Rows], expected: Rows
) -> None:
    assert [deliver(writer, world.events()) for _ in range(3)] == [1, 2, 3]
    assert content() == expected


@pytest.mark.parametrize("size", [1, 2, 7])
def test_batches_of_any_size_give_the_same_rows(
    writer: Any, content: Callable[[], Rows], expected: Rows, size: int
) -> None:
    events = world.events()
    for start in range(0, len(events), size):
        deliver(writer, events[start : start + size])
    assert content() == expected


def test_events_in_the_reverse_order_give_the_same_rows(
    writer: Any, content: Callable[[], Rows], expected: Rows
) -> None:
    for event in reversed(world.events()):
        deliver(writer, [event])
    assert content() == expected


@pytest.mark.parametrize("seed", range(8))
def test_events_in_any_order_some_of_them_twice_give_the_same_rows(
    writer: Any, content: Callable[[], Rows], expected: Rows, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311  # For an order that can be repeated.
    events = world.events()
    events += dice.sample(events, len(events) // 2)
    dice.shuffle(events)
    while events:
        count = dice.randint(1, 6)
        deliver(writer, events[:count])
        del events[:count]
    assert content() == expected


def test_a_revocation_before_its_certificate_waits_for_it_and_is_told(
    writer: Any, content: Callable[[], Rows]
) -> None:
    name = "gone.example.test"
    events = [
        event
        for event in world.events()
        if event["payload"].get("certificate_id") == str(world.id_of(name))
    ]
    assert [event["type"] for event in events] == ["certificate.issued", "certificate.revoked"]
    deliver(writer, events[1:])
    state = "SELECT set_aside FROM inventory.state()"
    assert writer.execute(state).fetchone() == (1,)
    assert content()["certificate"] == []
    deliver(writer, events[:1])
    assert writer.execute(state).fetchone() == (0,)
    rows = content()
    assert rows["early_revocation"] == []
    assert "keyCompromise" in rows["certificate"][0][0]
    assert len(rows["daily_count"]) <= 2


@pytest.mark.parametrize("order", [1, -1])
def test_a_request_that_was_given_up_and_has_a_certificate_all_the_same_is_issued(
    writer: Any, content: Callable[[], Rows], order: int
) -> None:
    issued, abandoned = (
        next(event for event in world.events() if event["type"] == kind)
        for kind in ("certificate.issued", "request.abandoned")
    )
    abandoned["payload"]["request_id"] = issued["payload"]["certificate_id"]
    for event in [issued, abandoned][::order]:
        deliver(writer, [event])
    ((row,),) = content()["request"]
    assert "issued" in row
    assert abandoned["payload"]["note"] not in row


@pytest.mark.parametrize("broken", ["no uuid", "no time", "no payload"])
def test_a_batch_with_a_broken_event_counts_as_nothing(
    writer: Any, content: Callable[[], Rows], expected: Rows, broken: str
) -> None:
    events = world.events()
    last = next(event for event in reversed(events) if event["type"] == "certificate.issued")
    match broken:
        case "no uuid":
            last["payload"]["certificate_id"] = "7"
        case "no time":
            last["payload"]["not_after"] = "one fine day"
        case _:
            last["payload"] = {"certificate_id": last["payload"]["certificate_id"]}
    with pytest.raises(psycopg.Error):
        deliver(writer, events)
    assert not any(content().values())
    assert writer.execute("SELECT batch, events FROM inventory.state()").fetchone() == (0, 0)
    deliver(writer, world.events())
    assert content() == expected


def test_many_relays_at_once_take_turns(
    writer: Any, content: Callable[[], Rows], expected: Rows, data_dsn: Callable[[str], str]
) -> None:
    events = world.events()

    def relay(start: int) -> list[int]:
        with psycopg.connect(data_dsn("inventory_writer"), autocommit=True) as connection:
            # Each begins elsewhere, so that they meet at the same rows.
            turned = events[start:] + events[:start]
            return [deliver(connection, turned[i : i + 5]) for i in range(0, len(turned), 5)]

    with ThreadPoolExecutor(6) as pool:
        batches = [batch for done in pool.map(relay, range(0, 24, 4)) for batch in done]
    assert sorted(batches) == list(range(1, len(batches) + 1))
    assert content() == expected
