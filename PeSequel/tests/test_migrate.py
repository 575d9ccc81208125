"""Bringing a database to the newest migration, by two runs that meet."""

import threading
import time

import psycopg
from pesequel.database import LOGIN_ROLES, migrate

WAITING = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def exists(admin: psycopg.Connection[tuple[object, ...]], name: str) -> bool:
    found = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
    return found is not None


def test_a_second_run_on_one_server_waits_for_the_first(
    database_admin_url: str, data_database: str
) -> None:
    name = psycopg.conninfo.conninfo_to_dict(data_database)["dbname"] + "_second"  # type: ignore[operator]
    passwords = dict.fromkeys(LOGIN_ROLES, "for-tests-only")
    run = threading.Thread(
        target=migrate,
        args=(database_admin_url,),
        kwargs={"passwords": passwords, "issuers": [], "database": name},
    )
    with psycopg.connect(database_admin_url, autocommit=True) as admin:
        admin.execute("SELECT pg_advisory_lock(hashtext('pesequel'))")
        run.start()
        deadline = time.monotonic() + 60
        while admin.execute(WAITING).fetchone() == (0,):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert not exists(admin, name)
        admin.execute("SELECT pg_advisory_unlock(hashtext('pesequel'))")
        run.join(60)
        assert exists(admin, name)
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
