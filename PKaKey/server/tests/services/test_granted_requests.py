"""What PKaKey leaves open of a request within a grant when it dies, and how that is mended."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from PKaKey.server.tests.services.test_approvals import Flows, ask, asking, flows
from PKaKey.server.tests.services.test_grants import grant

__all__ = ["asking", "flows"]  # Fixtures.

INTENT = "certificates_intent"
CERTIFICATE = "certificates_certificate"
Broken = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def broken(admin_connection: Any) -> Broken:
    """Let inserts into a table fail for a while, as if the process had died there."""

    @contextmanager
    def breaking(table: str) -> Iterator[None]:
        admin_connection.execute(
            "CREATE FUNCTION public.break_it() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'broken on purpose'; END $$"
        )
        admin_connection.execute(
            f"CREATE TRIGGER break_it BEFORE INSERT ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION public.break_it()"
        )
        yield
        admin_connection.execute(f"DROP TRIGGER break_it ON {table}")
        admin_connection.execute("DROP FUNCTION public.break_it()")

    return breaking


def left_open(platform: Any, broken: Broken, table: str, **options: Any) -> str:
    """Ask within a grant while the table is broken; return the grant."""
    answer = grant(platform)
    with broken(table), pytest.raises(psycopg.Error, match="broken on purpose"):
        ask(platform, "a.x.internal", **options)
    return str(answer.json()["grant"])


def requests_of(admin_connection: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = admin_connection.execute(
        "SELECT r.state, c.serial_number, r.diagram, r.deciders -> 0 ->> 'name', r.reason"
        " FROM requests_request r LEFT JOIN certificates_certificate c ON c.id = r.certificate_id"
        " ORDER BY r.created_at"
    ).fetchall()
    return found


def leaves(admin_connection: Any) -> int:
    [(number,)] = admin_connection.execute(
        "SELECT count(*) FROM certificates_certificate WHERE profile = 'tls-client'"
    ).fetchall()
    return int(number)


def withdraw(platform: Any, grant_id: str) -> None:
    platform.services.flows.withdraw(
        principal=platform.admin, grant_id=grant_id, reason="over", now=platform.now
    )


@pytest.mark.parametrize("table", [INTENT, CERTIFICATE])
def test_what_was_left_open_is_issued_once_and_closed(
    asking: Any, admin_connection: Any, broken: Broken, flows: Flows, table: str
) -> None:
    left_open(asking, broken, table)
    assert [row[0] for row in requests_of(admin_connection)] == ["recorded"]
    early, later = (asking.now + timedelta(minutes=number) for number in (5, 6))
    assert asking.services.reconcile_granted(now=early) == 0
    assert asking.services.reconcile_granted(now=later) == 1
    [(state, serial, diagram, decider, reason)] = requests_of(admin_connection)
    assert (state, diagram, decider, reason) == ("issued", "namespace-grant", "otto", "")
    assert serial
    assert asking.services.reconcile_granted(now=later) == 0
    assert leaves(admin_connection) == 1
    assert flows.asked == []


def test_a_certificate_that_the_other_reconciler_finished_closes_its_request(
    asking: Any, admin_connection: Any, broken: Broken
) -> None:
    grant_id = left_open(asking, broken, CERTIFICATE)
    later = asking.now + timedelta(minutes=6)
    assert asking.services.reconcile_intents(now=later) == 1
    # It was intended while the grant held.
    withdraw(asking, grant_id)
    assert asking.services.reconcile_granted(now=later) == 1
    [(state, serial, *_)] = requests_of(admin_connection)
    assert (state, bool(serial)) == ("issued", True)
    assert leaves(admin_connection) == 1


def test_nothing_is_issued_once_the_grant_is_withdrawn(
    asking: Any, admin_connection: Any, broken: Broken
) -> None:
    withdraw(asking, left_open(asking, broken, INTENT))
    later = asking.now + timedelta(minutes=6)
    assert asking.services.reconcile_granted(now=later) == 1
    [(state, serial, _, _, reason)] = requests_of(admin_connection)
    assert (state, serial) == ("failed", None)
    assert "grant is over" in reason
    assert leaves(admin_connection) == 0
    assert ask(asking, "a.x.internal").state == "waiting"


def test_nothing_is_issued_after_the_grants_end(
    asking: Any, admin_connection: Any, broken: Broken
) -> None:
    left_open(asking, broken, INTENT)
    assert asking.services.reconcile_granted(now=asking.now + timedelta(days=30)) == 1
    assert [row[0] for row in requests_of(admin_connection)] == ["failed"]
    assert leaves(admin_connection) == 0


def test_nothing_is_issued_for_who_left(asking: Any, admin_connection: Any, broken: Broken) -> None:
    left_open(asking, broken, INTENT)
    admin_connection.execute(
        "DELETE FROM namespaces_membership WHERE user_id = %s", [int(asking.admin.id)]
    )
    assert asking.services.reconcile_granted(now=asking.now + timedelta(minutes=6)) == 1
    [(state, serial, _, _, reason)] = requests_of(admin_connection)
    assert (state, serial) == ("failed", None)
    assert "may not any more" in reason
    assert leaves(admin_connection) == 0


def test_nothing_is_issued_when_the_profile_has_changed_since(
    asking: Any, admin_connection: Any, broken: Broken
) -> None:
    left_open(asking, broken, INTENT)
    asking.services.require_approval(
        namespace="default", profile="tls-client", diagram="certificate-approval-four-eyes",
        now=asking.now,
    )  # fmt: skip
    assert asking.services.reconcile_granted(now=asking.now + timedelta(minutes=6)) == 1
    assert [row[0] for row in requests_of(admin_connection)] == ["failed"]
    assert leaves(admin_connection) == 0


def test_while_the_database_refuses_it_the_request_stays_open(
    asking: Any, admin_connection: Any, broken: Broken
) -> None:
    left_open(asking, broken, INTENT)
    later = asking.now + timedelta(minutes=6)
    with broken(CERTIFICATE):
        assert asking.services.reconcile_granted(now=later) == 0
    assert [row[0] for row in requests_of(admin_connection)] == ["recorded"]
    assert asking.services.reconcile_granted(now=later) == 1
    assert leaves(admin_connection) == 1


@pytest.mark.parametrize("table", [INTENT, CERTIFICATE])
def test_the_same_key_gets_what_the_reconciler_issued(
    asking: Any, admin_connection: Any, broken: Broken, table: str
) -> None:
    from pkakey_engine.testing.requests import make_csr

    csr = make_csr(dns=["a.x.internal"])
    grant(asking)
    options = {
        "principal": asking.admin, "csr": csr, "profile": "tls-client", "source": "api",
        "idempotency_key": "once",
    }  # fmt: skip
    with broken(table), pytest.raises(psycopg.Error, match="broken on purpose"):
        asking.services.issue_certificate(**options, now=asking.now)
    later = asking.now + timedelta(minutes=6)
    assert asking.services.reconcile_granted(now=later) == 1
    issued = asking.services.issue_certificate(**options, now=later)
    assert issued.serial_number == requests_of(admin_connection)[0][1]
    assert leaves(admin_connection) == 1


def test_what_waits_for_people_is_not_touched(asking: Any, admin_connection: Any) -> None:
    grant(asking)
    assert ask(asking, "a.y.internal").state == "waiting"
    assert asking.services.reconcile_granted(now=asking.now + timedelta(days=1)) == 0
    assert [row[0] for row in requests_of(admin_connection)] == ["waiting"]
