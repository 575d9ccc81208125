"""A real PgBouncer with the shipped configuration: many clients, few connections, nothing leaks."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from PeSequel.tests.pooler import shipped

CLIENTS = 500
AT_MOST = 20
Dsn = Callable[[str], str]


@pytest.fixture
def writer(pooled_data_dsn: Dsn) -> str:
    """The inventory's writer, through the pooler."""
    return pooled_data_dsn("inventory_writer")


def server_connections(admin_url: str) -> int:
    with psycopg.connect(admin_url, autocommit=True) as admin:
        row = admin.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE usename = 'inventory_writer' AND datname = current_database()"
        ).fetchone()
    assert row is not None
    count: int = row[0]
    return count


async def open_client(dsn: str) -> psycopg.AsyncConnection[tuple[Any, ...]]:
    return await psycopg.AsyncConnection.connect(
        dsn, autocommit=True, prepare_threshold=None, connect_timeout=120
    )


async def say_and_hear(
    client: psycopg.AsyncConnection[tuple[Any, ...]], word: str
) -> tuple[int, str, str | None]:
    """Set a word for one transaction; return the process, the word and what was there before."""
    async with client.transaction():
        before = await client.execute("SELECT current_setting('pooling.word', true)")
        found = await before.fetchone()
        await client.execute("SELECT set_config('pooling.word', %s, true)", [word])
        await client.execute("SELECT pg_sleep(0.002)")
        now = await client.execute("SELECT pg_backend_pid(), current_setting('pooling.word')")
        row = await now.fetchone()
    assert found is not None
    assert row is not None
    return row[0], row[1], found[0] or None


def test_500_clients_share_20_connections_and_nobody_hears_anothers_word(
    writer: str, data_database: str
) -> None:
    async def everybody() -> list[tuple[str, tuple[int, str, str | None]]]:
        clients = await asyncio.gather(*(open_client(writer) for _ in range(CLIENTS)))

        async def speak(number: int) -> list[tuple[str, tuple[int, str, str | None]]]:
            words = [f"{number}-{turn}" for turn in range(4)]
            return [(word, await say_and_hear(clients[number], word)) for word in words]

        try:
            said = await asyncio.gather(*(speak(number) for number in range(CLIENTS)))
            # While all of them are still there.
            assert server_connections(data_database) <= AT_MOST
        finally:
            await asyncio.gather(*(client.close() for client in clients))
        return [each for client in said for each in client]

    said = asyncio.run(everybody())
    assert len(said) == CLIENTS * 4
    assert {before for _, (_, _, before) in said} == {None}
    assert all(word == heard for word, (_, heard, _) in said)
    processes = {process for _, (process, _, _) in said}
    assert 1 < len(processes) <= AT_MOST


def test_what_ships_promises_what_is_tested() -> None:
    settings = shipped()["pgbouncer"]
    assert settings["pool_mode"] == "transaction"
    assert settings["auth_type"] == "scram-sha-256"
    assert int(settings["max_db_connections"]) == AT_MOST
    assert int(settings["max_client_conn"]) > CLIENTS


def test_a_statement_repeated_by_several_clients_in_turn_works_without_preparing(
    writer: str,
) -> None:
    async def repeat() -> list[int]:
        clients = await asyncio.gather(*(open_client(writer) for _ in range(AT_MOST + 10)))

        async def one(client: psycopg.AsyncConnection[tuple[Any, ...]]) -> int:
            for turn in range(12):
                cursor = await client.execute("SELECT %s::int + 1, pg_sleep(0.001)", [turn])
                row = await cursor.fetchone()
                assert row is not None
                assert row[0] == turn + 1
            return turn

        try:
            return await asyncio.gather(*(one(client) for client in clients))
        finally:
            await asyncio.gather(*(client.close() for client in clients))

    assert asyncio.run(repeat()) == [11] * (AT_MOST + 10)


def test_a_notice_does_not_come_through_it_so_postgrest_goes_straight_to_the_server(
    writer: str, data_database: str
) -> None:
    channel = sql.Identifier(f"pooling_{uuid.uuid4().hex}")
    with (
        psycopg.connect(writer, autocommit=True, prepare_threshold=None) as client,
        psycopg.connect(data_database, autocommit=True) as admin,
    ):
        client.execute(sql.SQL("LISTEN {}").format(channel))
        admin.execute(sql.SQL("NOTIFY {}").format(channel))
        assert not list(client.notifies(timeout=1))


def test_a_client_whose_server_connection_ends_gets_an_error_and_the_next_one_an_answer(
    writer: str, data_database: str
) -> None:
    with psycopg.connect(writer, autocommit=True, prepare_threshold=None) as client:

        def in_a_transaction() -> None:
            with client.transaction(), psycopg.connect(data_database, autocommit=True) as admin:
                row = client.execute("SELECT pg_backend_pid()").fetchone()
                assert row is not None
                admin.execute("SELECT pg_terminate_backend(%s)", [row[0]])
                client.execute("SELECT 1")

        with pytest.raises(psycopg.OperationalError):
            in_a_transaction()
    with psycopg.connect(writer, autocommit=True, prepare_threshold=None) as again:
        assert again.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "wrong"},
        {"user": "authenticator"},
        {"user": "postgres"},
        {"user": "nobody_at_all"},
        {"dbname": "postgres"},
        {"dbname": "pkakey"},
        # PgBouncer's own console.
        {"dbname": "pgbouncer"},
    ],
    ids=str,
)
def test_whoever_is_not_in_its_password_file_or_asks_for_another_database_is_refused(
    writer: str, changes: dict[str, str]
) -> None:
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(make_conninfo(writer, **changes), connect_timeout=30)


def test_who_comes_through_it_may_no_more_than_straight(writer: str) -> None:
    with (
        psycopg.connect(writer, autocommit=True, prepare_threshold=None) as client,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        client.execute("SELECT * FROM inventory.certificate")
