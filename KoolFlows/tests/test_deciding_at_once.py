"""Two at once: one effect. PostgreSQL's rows decide, not the order of our code."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connections

KEY = "certificate-approval-one"
REQUEST = {
    "request": {
        "id": "6e4c5a0e-7a01-4d42-8d8b-0b1c0f2e3d4c",
        "sha256": "ab" * 32,
        "profile": "tls-server",
        "names": ["www.example.test"],
    }
}


def at_once(*acts: Any) -> list[Any]:
    """Do all at the same moment, each on a connection of its own; return answers and errors."""
    barrier = Barrier(len(acts))

    def run(act: Any) -> Any:
        try:
            barrier.wait(60)
            return act()
        except Exception as error:  # noqa: BLE001  # The test looks at it.
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def test_of_two_officers_who_decide_at_once_one_is_told_who_came_first(shipped: Any) -> None:
    from koolflows.services.errors import Conflict

    process = shipped.start(KEY, REQUEST)
    task = shipped.task(process)

    def decide(name: str, outcome: str) -> Any:
        return lambda: shipped.services.decide(
            principal=shipped.person(name, "pki-officer"),
            task_id=task.pk,
            values={"outcome": outcome, "reason": "because"},
            now=shipped.now,
        )

    answers = at_once(decide("otto", "approve"), decide("olga", "refuse"))
    (late,) = [answer for answer in answers if isinstance(answer, Exception)]
    assert isinstance(late, Conflict)
    assert late.code == "task.not-open"
    shipped.work()
    assert len(shipped.other_side.effects) == 1
    assert shipped.kinds(process).count("decided") == 1


def test_two_workers_do_each_service_task_once(shipped: Any) -> None:
    process = shipped.start(KEY, REQUEST)
    shipped.decide(process, "approve")
    with shipped.as_role("koolflows_worker"):
        counts = at_once(*[lambda: shipped.services.do_due_jobs(now=shipped.now)] * 4)
    assert sorted(counts) == [0, 0, 0, 1]
    assert len(shipped.other_side.asked) == 1


def test_two_workers_fire_a_timer_once(shipped: Any) -> None:
    process = shipped.start(KEY, REQUEST)
    later = shipped.now + timedelta(days=1, minutes=1)
    with shipped.as_role("koolflows_worker"):
        counts = at_once(*[lambda: shipped.services.fire_due(now=later)] * 4)
    assert sum(counts) == 1
    shipped.now = later
    shipped.work()
    assert len(shipped.other_side.of("notify")) == 1
    assert shipped.outcome(process) == ("running", "")


def test_the_same_start_twice_at_once_is_one_process(shipped: Any) -> None:
    def start() -> Any:
        return shipped.start(KEY, REQUEST, idempotency_key="once")

    first, second = at_once(start, start)
    assert first == second


def test_an_unavailable_other_side_is_asked_again_with_the_same_key(shipped: Any) -> None:
    from koolflows.services.outside import Unavailable

    shipped.other_side.trouble = [Unavailable("down"), Unavailable("down")]
    process = shipped.start(KEY, REQUEST)
    shipped.decide(process, "approve")
    shipped.work()
    assert shipped.outcome(process) == ("running", "")
    for _ in range(3):
        shipped.later(minutes=6)
    assert shipped.outcome(process) == ("completed", "OneIssued")
    assert len({effect.key for effect in shipped.other_side.asked}) == 1
    assert len(shipped.other_side.asked) == 3


@pytest.mark.parametrize("roles", [("pki-requester",), ("pki-auditor",), ("db-admin",)])
def test_who_lost_the_role_meanwhile_decides_nothing(shipped: Any, roles: tuple[str, ...]) -> None:
    from koolflows.services.errors import NotPermitted

    process = shipped.start(KEY, REQUEST)
    shipped.services.claim(
        principal=shipped.person("otto", "pki-officer"),
        task_id=shipped.task(process).pk,
        now=shipped.now,
    )
    with pytest.raises(NotPermitted) as refusal:
        shipped.decide(process, "approve", by="otto", roles=roles)
    assert refusal.value.code == ("permission.denied" if roles == ("db-admin",) else "task.role")
    assert shipped.task(process) is not None


def test_nobody_decides_on_their_own_request(shipped: Any) -> None:
    from koolflows.services.errors import NotPermitted

    otto = shipped.person("otto", "pki-officer", "pki-admin")
    process = shipped.start(KEY, REQUEST, principal=otto)
    with pytest.raises(NotPermitted) as refusal:
        shipped.decide(process, "approve", by="otto")
    assert refusal.value.code == "task.own-request"


@pytest.mark.parametrize(
    "act",
    ["UPDATE history_entry SET kind = 'x'", "DELETE FROM history_entry", "TRUNCATE history_entry"],
)
def test_the_history_cannot_be_changed_even_by_an_administrator(
    shipped: Any, role_dsn: Any, admin_dsn: str, act: str
) -> None:
    import psycopg

    shipped.start(KEY, REQUEST)
    for dsn in (role_dsn("koolflows_web"), role_dsn("koolflows_worker"), admin_dsn):
        with psycopg.connect(dsn) as connection, pytest.raises(psycopg.Error):
            connection.execute("SELECT set_config('koolflows.namespace', 'default', true)")
            connection.execute(act)
