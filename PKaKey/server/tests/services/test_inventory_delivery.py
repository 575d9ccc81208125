"""The outbox's way into PeSequel's inventory, on a real database of each."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

TABLES = {
    "authority": "authority_id",
    "authority_grant": "authority_id, namespace",
    "profile": "namespace, name, version",
    "certificate": "certificate_id",
    "abandoned_request": "request_id",
    "request": "request_id",
    "audit_entry": "entry_id",
    "daily_count": "namespace, day",
    "early_revocation": "certificate_id",
    "set_aside": "event_id",
}
NORMALLY_EMPTY = {"early_revocation", "set_aside"}


@pytest.fixture
def inventory(empty_data_database: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """The inventory as an administrator, to look behind its roles."""
    with psycopg.connect(empty_data_database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def worker(platform: Any, worker_role: None, inventory: Any, data_dsn: Callable[[str], str]) -> Any:
    """The use cases as the worker process has them."""
    from pkakey.services import Services

    return Services(replace(platform.services.outside, inventory_url=data_dsn("inventory_writer")))


def content(inventory: psycopg.Connection[tuple[Any, ...]]) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: inventory.execute(
            sql.SQL("SELECT * FROM inventory.{} ORDER BY {}").format(
                sql.Identifier(table), sql.SQL(order)
            )
        ).fetchall()
        for table, order in TABLES.items()
    }


def one(connection: Any, query: str, *values: Any) -> Any:
    return connection.execute(query, values).fetchone()[0]


def a_life(platform: Any, worker: Any) -> list[Any]:
    """Issue three certificates in two namespaces and revoke one."""
    issued = [
        platform.issue("one.example.test"),
        platform.issue("two.example.test"),
        platform.issue("three.example.test", principal=platform.guest),
    ]
    worker.revoke_certificate(
        principal=platform.admin,
        serial_number=issued[0].serial_number,
        reason="superseded",
        now=platform.now + timedelta(minutes=1),
    )
    return issued


def test_every_certificate_of_the_store_is_in_the_inventory_with_the_same_facts(
    platform: Any, worker: Any, inventory: Any, admin_connection: Any
) -> None:
    a_life(platform, worker)
    worker.deliver_to_inventory()
    asked = (
        "SELECT c.{0}, n.slug, c.serial_number, c.subject, c.not_before, c.not_after, c.sha256, "
        "c.public_key_sha256, c.profile, c.purpose, c.source, c.requested_by, c.issued_at, "
        "c.revoked_at, c.revocation_reason, c.names FROM certificates_certificate c "
        "JOIN namespaces_namespace n ON n.id = c.namespace_id ORDER BY 1"
    )
    theirs = admin_connection.execute(asked.format("id")).fetchall()
    ours = inventory.execute(
        "SELECT certificate_id, namespace, serial_number, subject, not_before, not_after, "
        "certificate_sha256, public_key_sha256, profile, purpose, source, requested_by, issued_at, "
        "revoked_at, revocation_reason, typed_names FROM inventory.certificate ORDER BY 1"
    ).fetchall()
    assert ours == theirs
    assert len(ours) > 5
    assert inventory.execute("SELECT * FROM inventory.set_aside").fetchall() == []


def test_the_key_is_told_from_the_certificate_itself(
    platform: Any, worker: Any, inventory: Any
) -> None:
    from cryptography import x509

    issued = platform.issue()
    worker.deliver_to_inventory()
    key_id, key, signature = inventory.execute(
        "SELECT key_id, key_algorithm, signature_algorithm FROM inventory.certificate "
        "WHERE certificate_id = %s",
        [issued.id],
    ).fetchone()
    certificate = x509.load_der_x509_certificate(issued.der)
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert key_id == identifier.value.digest.hex()
    assert (key, signature) == ("EC P-256", "ecdsa-with-SHA256")


def abandon_a_request(platform: Any, admin_connection: Any) -> None:
    """Leave a request open, and let nothing come of it."""
    platform.issue("given.up.test")
    admin_connection.execute("SET session_replication_role = replica")
    (namespace, intent) = admin_connection.execute(
        "UPDATE certificates_intent SET state = 'open', closed_at = NULL "
        "WHERE subject LIKE '%given.up.test%' RETURNING namespace_id, id"
    ).fetchone()
    admin_connection.execute("RESET session_replication_role")
    assert one(
        admin_connection,
        "SELECT pki.abandon_intent(%s, %s, 'The signer never saw it.', now())",
        namespace,
        intent,
    )


def test_the_rows_that_are_compared_are_those_of_every_table(inventory: Any) -> None:
    tables = inventory.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'inventory'::regnamespace "
        "AND relkind = 'r'"
    ).fetchall()
    # The last one counts batches, and a rebuild counts its own.
    assert {name for (name,) in tables} == set(TABLES) | {"progress"}


@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_a_rebuild_from_zero_gives_the_same_rows(
    platform: Any,
    worker: Any,
    inventory: Any,
    admin_connection: Any,
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
) -> None:
    from pkakey.services import inventory_delivery

    a_life(platform, worker)
    worker.deliver_to_inventory()
    platform.issue("four.example.test")
    abandon_a_request(platform, admin_connection)
    worker.deliver_to_inventory()
    before = content(inventory)
    assert {table for table in TABLES if not before[table]} == NORMALLY_EMPTY
    monkeypatch.setattr(inventory_delivery, "AT_ONCE", at_once)
    count = one(admin_connection, "SELECT count(*) FROM outbox_event")
    assert worker.rebuild_inventory() == count
    after = content(inventory)
    for table in TABLES:
        assert after[table] == before[table], table
    batches = one(inventory, "SELECT batch FROM inventory.state()")
    assert batches == -(-count // at_once)


@pytest.mark.parametrize("moment", ["before the inventory has it", "before it is marked"])
def test_a_relay_that_dies_in_the_middle_of_a_pass_loses_and_doubles_nothing(
    platform: Any,
    worker: Any,
    inventory: Any,
    admin_connection: Any,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    from pkakey.services import inventory_delivery

    class DiedError(Exception):
        pass

    a_life(platform, worker)
    worker.deliver_to_inventory()
    expected = content(inventory)
    inventory.execute("SELECT inventory.reset()")
    monkeypatch.setattr(inventory_delivery, "AT_ONCE", 5)
    passes = 0
    whole = inventory_delivery.rows, inventory_delivery._one
    while True:
        calls = 0

        def rows(query: str, values: Any = ()) -> Any:
            nonlocal calls
            if moment == "before it is marked" and "mark_in_inventory" in query:
                calls += 1
                if calls == 2:
                    raise DiedError
            return whole[0](query, values)

        def one_row(connection: Any, query: str, values: Any) -> Any:
            nonlocal calls
            if moment != "before it is marked" and "inventory.deliver" in query:
                calls += 1
                if calls == 2:
                    raise DiedError
            return whole[1](connection, query, values)

        monkeypatch.setattr(inventory_delivery, "rows", rows)
        monkeypatch.setattr(inventory_delivery, "_one", one_row)
        passes += 1
        try:
            worker.deliver_to_inventory()
        except DiedError:
            continue
        break
    assert passes > 3
    assert content(inventory) == expected
    assert one(admin_connection, "SELECT count(*) - count(inventory_batch) FROM outbox_event") == 0


def test_a_relay_whose_connection_is_cut_in_a_batch_delivers_it_again(
    platform: Any, worker: Any, inventory: Any, empty_data_database: str
) -> None:
    """The server ends the relay's session while its batch waits for a lock."""
    a_life(platform, worker)
    worker.deliver_to_inventory()
    expected = content(inventory)
    inventory.execute("SELECT inventory.reset()")
    cut: list[str] = []

    def cut_it(stop: threading.Event) -> None:
        while not stop.wait(0.02):
            cut.extend(
                "cut"
                for _ in inventory.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE usename = 'inventory_writer' AND wait_event_type = 'Lock'"
                ).fetchall()
            )

    with psycopg.connect(empty_data_database) as blocker:
        blocker.execute("LOCK TABLE inventory.certificate IN SHARE MODE")
        stop = threading.Event()
        watcher = threading.Thread(target=cut_it, args=(stop,))
        watcher.start()
        with pytest.raises(psycopg.OperationalError):
            worker.deliver_to_inventory()
        stop.set()
        watcher.join()
    assert cut
    assert one(inventory, "SELECT batch FROM inventory.state()") == 0
    assert worker.deliver_to_inventory() > 0
    assert content(inventory) == expected


def test_a_certificates_events_are_handed_over_in_their_order(
    platform: Any, worker: Any, inventory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pkakey.services import inventory_delivery

    delivered: list[dict[str, Any]] = []
    whole = inventory_delivery._one

    def note(connection: Any, query: str, values: Any) -> Any:
        if "inventory.deliver" in query:
            delivered.extend(json.loads(values[0]))
        return whole(connection, query, values)

    monkeypatch.setattr(inventory_delivery, "_one", note)
    monkeypatch.setattr(inventory_delivery, "AT_ONCE", 2)
    issued = a_life(platform, worker)
    worker.deliver_to_inventory()
    of_first = [
        event["type"]
        for event in delivered
        if event["payload"].get("certificate_id") == str(issued[0].id)
    ]
    assert of_first == ["certificate.issued", "certificate.revoked"]


def test_an_inventory_that_was_emptied_is_filled_again_by_the_ordinary_relay(
    platform: Any, worker: Any, inventory: Any
) -> None:
    a_life(platform, worker)
    worker.deliver_to_inventory()
    before = content(inventory)
    inventory.execute("SELECT inventory.reset()")
    worker.deliver_to_inventory()
    assert content(inventory) == before


def test_an_inventory_from_an_older_backup_gets_what_it_lost(
    platform: Any, worker: Any, inventory: Any
) -> None:
    worker.deliver_to_inventory()
    old = inventory.execute("SELECT batch, events, last_event FROM inventory.progress").fetchone()
    issued = a_life(platform, worker)
    worker.deliver_to_inventory()
    before = content(inventory)
    # As a restore leaves it: without the later rows, and with the earlier progress.
    inventory.execute("DELETE FROM inventory.certificate WHERE subject LIKE '%.example.test'")
    inventory.execute("DELETE FROM inventory.daily_count")
    inventory.execute(
        "INSERT INTO inventory.daily_count SELECT namespace, (issued_at AT TIME ZONE 'UTC')::date, "
        "count(*), 0 FROM inventory.certificate GROUP BY 1, 2"
    )
    inventory.execute(
        "UPDATE inventory.progress SET batch = %s, events = %s, last_event = %s", list(old)
    )
    assert worker.deliver_to_inventory() >= len(issued)
    assert content(inventory) == before


def test_an_inventory_of_another_past_is_rebuilt(
    platform: Any, worker: Any, inventory: Any
) -> None:
    worker.deliver_to_inventory()
    before = content(inventory)
    inventory.execute("UPDATE inventory.progress SET last_event = gen_random_uuid(), batch = 99")
    inventory.execute("UPDATE inventory.certificate SET subject = 'CN=of another past'")
    worker.deliver_to_inventory()
    assert content(inventory) == before


def test_a_relay_that_dies_before_it_marks_delivers_again_without_a_trace(
    platform: Any, worker: Any, inventory: Any, admin_connection: Any
) -> None:
    a_life(platform, worker)
    worker.deliver_to_inventory()
    before = content(inventory)
    admin_connection.execute("UPDATE outbox_event SET inventory_batch = NULL")
    assert worker.deliver_to_inventory() > 0
    assert content(inventory) == before
    assert worker.deliver_to_inventory() == 0


def test_every_audit_entry_arrives_with_its_exact_text_and_hash(
    platform: Any, worker: Any, inventory: Any, admin_connection: Any
) -> None:
    a_life(platform, worker)
    platform.token("certificates:read")
    worker.deliver_to_inventory()
    theirs = admin_connection.execute(
        "SELECT id, action, target, data, encode(leaf_hash, 'hex') FROM audit_entry ORDER BY id"
    ).fetchall()
    ours = inventory.execute(
        "SELECT entry_id, action, target, data, leaf_hash FROM inventory.audit_entry ORDER BY 1"
    ).fetchall()
    assert ours == theirs
    assert {"token.created", "certificate.issued", "profile.published"} <= {r[1] for r in ours}


def test_a_grant_and_the_profiles_of_both_namespaces_arrive(
    platform: Any, worker: Any, inventory: Any
) -> None:
    worker.deliver_to_inventory()
    granted = inventory.execute(
        "SELECT authority_id FROM inventory.authority_grant WHERE namespace = 'guest'"
    ).fetchall()
    assert {row[0] for row in granted} == {platform.root_id, platform.issuing_id}
    counts = inventory.execute(
        "SELECT namespace, count(*) FROM inventory.profile GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert [name for name, _ in counts] == ["default", "guest"]
    assert counts[0][1] == counts[1][1] > 0
    assert one(
        inventory,
        "SELECT crl_number FROM inventory.authority WHERE authority_id = %s",
        platform.issuing_id,
    )


def test_without_an_inventory_the_outbox_is_kept_and_it_is_said(
    platform: Any, worker_role: None, admin_connection: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from pkakey.services import inventory_delivery

    inventory_delivery._say_that_the_outbox_is_kept.cache_clear()
    assert platform.services.deliver_to_inventory() == 0
    assert "wait in the outbox" in caplog.text
    assert one(admin_connection, "SELECT count(inventory_batch) FROM outbox_event") == 0
    assert one(admin_connection, "SELECT count(*) FROM outbox_event") > 0


def test_an_inventory_that_is_away_marks_nothing_and_heals(
    platform: Any, worker: Any, inventory: Any, admin_connection: Any
) -> None:
    from pkakey.services import Services

    away = Services(replace(worker.outside, inventory_url="postgresql://x:y@127.0.0.1:1/nothing"))
    with pytest.raises(psycopg.OperationalError):
        away.deliver_to_inventory()
    assert one(admin_connection, "SELECT count(inventory_batch) FROM outbox_event") == 0
    assert worker.deliver_to_inventory() > 0


def test_an_event_that_fits_no_type_is_set_aside_and_stops_nobody(
    platform: Any, worker: Any, inventory: Any, admin_connection: Any
) -> None:
    worker.deliver_to_inventory()
    admin_connection.execute(
        "INSERT INTO outbox_event (id, namespace_id, type, version, actor_kind, actor_id, "
        "actor_name, payload, occurred_at) SELECT gen_random_uuid(), id, 'certificate.eaten', 7, "
        "'system', 'x', 'x', '{}', now() FROM namespaces_namespace LIMIT 1"
    )
    issued = platform.issue("after.example.test")
    worker.deliver_to_inventory()
    assert one(inventory, "SELECT type FROM inventory.set_aside") == "certificate.eaten"
    assert one(
        inventory,
        "SELECT count(*) FROM inventory.certificate WHERE certificate_id = %s",
        issued.id,
    )


def test_the_lag_is_told_where_the_data_is(platform: Any, worker: Any, inventory: Any) -> None:
    worker.deliver_to_inventory()
    waiting, lag, at = inventory.execute(
        "SELECT waiting, lag_seconds, delivered_at FROM inventory.state()"
    ).fetchone()
    assert (waiting, lag) == (0, 0)
    assert at is not None


def test_the_writer_reaches_the_inventory_by_its_functions_only(
    empty_data_database: str, data_dsn: Callable[[str], str]
) -> None:
    with psycopg.connect(data_dsn("inventory_writer"), autocommit=True) as writer:
        for refused in (
            "SELECT * FROM inventory.certificate",
            "DELETE FROM inventory.audit_entry",
            "SELECT inventory.apply_certificates('[]')",
            "SELECT * FROM api.certificates",
            "SELECT * FROM gate.secret",
            "SET ROLE inventory_owner",
            "SET ROLE web_user",
            "CREATE TABLE inventory.mine (x integer)",
            "CREATE TEMPORARY TABLE mine (x integer)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                writer.execute(refused.encode())


@pytest.mark.parametrize("batch", ["[]", "{}", "null", '"x"', '[{"id": "no uuid"}]'])
def test_a_batch_that_is_none_is_refused_and_changes_nothing(
    empty_data_database: str, data_dsn: Callable[[str], str], batch: str
) -> None:
    with psycopg.connect(data_dsn("inventory_writer"), autocommit=True) as writer:
        with pytest.raises(psycopg.Error):
            writer.execute("SELECT inventory.deliver(%s)", [batch])
        assert one(writer, "SELECT batch FROM inventory.state()") == 0


def test_the_web_process_may_not_mark_or_read_across(
    platform: Any, role_dsn: Callable[[str], str]
) -> None:
    with psycopg.connect(role_dsn("pkakey_web"), autocommit=True) as web:
        for refused in (
            "SELECT * FROM pki.waiting_for_inventory(1)",
            "SELECT pki.mark_in_inventory('{}', 1)",
            "SELECT pki.rewind_inventory(0)",
            "UPDATE outbox_event SET inventory_batch = 1",
            "SET ROLE pkakey_relay",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                web.execute(refused.encode())


def test_the_relay_works_through_pgbouncer_and_leaves_no_prepared_statement_there(
    platform: Any,
    worker: Any,
    inventory: Any,
    pooled_data_dsn: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pkakey.services import inventory_delivery

    monkeypatch.setattr(inventory_delivery, "AT_ONCE", 1)
    dsn = pooled_data_dsn("inventory_writer")
    pooled = replace(worker, outside=replace(worker.outside, inventory_url=dsn))
    for number in range(8):
        platform.issue(f"pooled-{number}.example.test")
    # psycopg prepares what it repeats more than five times.
    assert pooled.deliver_to_inventory() >= 8
    assert (
        one(
            inventory,
            "SELECT count(*) FROM inventory.certificate WHERE subject LIKE %s",
            "%pooled-%",
        )
        == 8
    )
    with psycopg.connect(dsn, prepare_threshold=None) as connection:
        assert one(connection, "SELECT count(*) FROM pg_prepared_statements") == 0
