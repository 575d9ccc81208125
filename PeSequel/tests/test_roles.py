"""Each database role in SQL: what it sees, and what it is kept from."""

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import errors

VIEWS = [
    "certificates", "authorities", "profiles", "requests", "revocations", "audit_entries",
    "expiring", "algorithms", "daily_counts", "freshness",
]  # fmt: skip
# What the views show, to each role by the policies of its own.
BEHIND_VIEWS = [
    "inventory.certificate", "inventory.authority", "inventory.authority_grant",
    "inventory.profile", "inventory.abandoned_request", "inventory.request",
    "inventory.audit_entry", "inventory.daily_count",
]  # fmt: skip
CLOSED = [
    "inventory.progress", "inventory.set_aside", "inventory.early_revocation", "gate.secret",
    "gate.issuer", "gate.team_schema",
]  # fmt: skip
TABLES = [*BEHIND_VIEWS, *CLOSED]
CLAIMS = {
    "iss": "https://pkakey.theddt.test:8443",
    "sub": "7",
    "aud": "pesequel",
    "exp": 4102444800,
    "role": "web_user",
    "roles": ["pki-admin"],
    "namespace": "default",
}


@pytest.fixture
def as_authenticator(filled: str, data_dsn: Callable[[str], str]) -> Any:
    with psycopg.connect(data_dsn("authenticator")) as connection:
        yield connection


def become(connection: Any, role: str, claims: dict[str, Any] | None, *, is_checked: bool) -> None:
    """Do what PostgREST does at the start of a request; unless it is checked, without the check."""
    connection.execute("SELECT set_config('search_path', '\"api\"', true)")
    connection.execute(f"SET LOCAL ROLE {role}")
    if claims is not None:
        connection.execute(
            "SELECT set_config('request.jwt.claims', %s, true)", [json.dumps(claims)]
        )
    if is_checked:
        connection.execute("SELECT gate.check_request()")


@pytest.mark.parametrize("role", ["pki-admin", "pki-officer", "pki-auditor", "pki-requester"])
def test_a_reader_sees_its_own_namespace_and_nothing_of_another(
    as_authenticator: Any, role: str
) -> None:
    become(as_authenticator, "web_user", CLAIMS | {"roles": [role]}, is_checked=True)
    for view in ("certificates", "profiles", "requests", "revocations", "expiring", "algorithms"):
        seen = {row[0] for row in as_authenticator.execute(f"SELECT namespace FROM api.{view}")}
        assert seen == {"default"}, view


@pytest.mark.parametrize(
    ("role", "reads_audit"),
    [
        ("pki-admin", True),
        ("pki-officer", True),
        ("pki-auditor", True),
        ("pki-requester", False),
    ],
)
def test_the_audit_log_is_for_those_who_read_it_in_pkakey_too(
    as_authenticator: Any, role: str, *, reads_audit: bool
) -> None:
    become(as_authenticator, "web_user", CLAIMS | {"roles": [role]}, is_checked=True)
    seen = [row[0] for row in as_authenticator.execute("SELECT namespace FROM api.audit_entries")]
    assert seen == (["default"] * 2 if reads_audit else [])


def test_a_granted_authority_is_seen_by_both_and_a_private_one_by_its_own(
    as_authenticator: Any,
) -> None:
    query = "SELECT name FROM api.authorities ORDER BY name"
    become(as_authenticator, "web_user", CLAIMS, is_checked=True)
    assert [row[0] for row in as_authenticator.execute(query)] == ["issuing", "root"]
    as_authenticator.rollback()
    become(as_authenticator, "web_user", CLAIMS | {"namespace": "guest"}, is_checked=True)
    assert [row[0] for row in as_authenticator.execute(query)] == ["guest's own", "issuing"]


def test_a_suspended_authority_is_told_with_since_when(as_authenticator: Any) -> None:
    query = "SELECT name FROM api.authorities WHERE suspended_at IS NOT NULL"
    for namespace in ("default", "guest"):
        become(as_authenticator, "web_user", CLAIMS | {"namespace": namespace}, is_checked=True)
        assert as_authenticator.execute(query).fetchall() == [("issuing",)]
        as_authenticator.rollback()


@pytest.mark.parametrize("view", VIEWS)
def test_claims_that_nobody_checked_show_no_row(as_authenticator: Any, view: str) -> None:
    become(as_authenticator, "web_user", CLAIMS, is_checked=False)
    assert as_authenticator.execute(f"SELECT * FROM api.{view}").fetchall() == []


@pytest.mark.parametrize("view", VIEWS)
def test_claims_changed_after_the_check_show_no_row(as_authenticator: Any, view: str) -> None:
    become(as_authenticator, "web_user", CLAIMS, is_checked=True)
    other = json.dumps(CLAIMS | {"namespace": "guest"})
    as_authenticator.execute("SELECT set_config('request.jwt.claims', %s, true)", [other])
    assert as_authenticator.execute(f"SELECT * FROM api.{view}").fetchall() == []


def test_a_request_cannot_have_other_claims_checked_as_well(as_authenticator: Any) -> None:
    become(as_authenticator, "web_user", CLAIMS, is_checked=True)
    with pytest.raises(psycopg.Error, match="checked before"):
        become(as_authenticator, "web_user", CLAIMS | {"namespace": "guest"}, is_checked=True)


def test_the_next_transaction_of_the_connection_starts_with_nothing(as_authenticator: Any) -> None:
    become(as_authenticator, "web_user", CLAIMS, is_checked=True)
    assert as_authenticator.execute("SELECT count(*) FROM api.certificates").fetchone()[0] > 0
    as_authenticator.commit()
    become(as_authenticator, "web_user", None, is_checked=False)
    assert as_authenticator.execute("SELECT count(*) FROM api.certificates").fetchone()[0] == 0


@pytest.mark.parametrize("view", VIEWS)
def test_web_anon_reads_no_view(as_authenticator: Any, view: str) -> None:
    become(as_authenticator, "web_anon", CLAIMS, is_checked=False)
    with pytest.raises(errors.InsufficientPrivilege):
        as_authenticator.execute(f"SELECT * FROM api.{view}")


@pytest.mark.parametrize(
    ("role", "table"),
    [*(("web_anon", table) for table in TABLES), *(("web_user", table) for table in CLOSED)],
)
def test_a_request_reads_no_table_that_no_view_shows(
    as_authenticator: Any, role: str, table: str
) -> None:
    become(as_authenticator, role, CLAIMS, is_checked=False)
    with pytest.raises(errors.InsufficientPrivilege):
        as_authenticator.execute(f"SELECT * FROM {table}")


@pytest.mark.parametrize("table", BEHIND_VIEWS)
@pytest.mark.parametrize("is_checked", [True, False])
def test_a_table_behind_a_view_has_no_row_of_another_namespace_even_by_raw_sql(
    as_authenticator: Any, table: str, *, is_checked: bool
) -> None:
    become(as_authenticator, "web_user", CLAIMS, is_checked=is_checked)
    seen = {row[0] for row in as_authenticator.execute(f"SELECT namespace FROM {table}")}
    assert seen <= ({"default"} if is_checked else set())


@pytest.mark.parametrize("table", BEHIND_VIEWS)
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET namespace = 'default'"])
def test_a_request_writes_no_table(as_authenticator: Any, table: str, statement: str) -> None:
    become(as_authenticator, "web_user", CLAIMS, is_checked=True)
    with pytest.raises(errors.InsufficientPrivilege):
        as_authenticator.execute(statement.format(table))


@pytest.mark.parametrize("role", ["authenticator", "inventory_writer", "pgadmin"])
@pytest.mark.parametrize("name", [*TABLES, *(f"api.{view}" for view in VIEWS)])
def test_who_signs_in_reads_nothing_by_itself(
    filled: str, data_dsn: Callable[[str], str], role: str, name: str
) -> None:
    with (
        psycopg.connect(data_dsn(role)) as connection,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        connection.execute(f"SELECT * FROM {name}")


@pytest.mark.parametrize("role", ["authenticator", "inventory_writer", "pgadmin"])
@pytest.mark.parametrize(
    "other", ["postgres", "inventory_owner", "gate_owner", "api_owner", "people_auditor"]
)
def test_who_signs_in_becomes_no_owner(
    filled: str, data_dsn: Callable[[str], str], role: str, other: str
) -> None:
    with (
        psycopg.connect(data_dsn(role)) as connection,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        connection.execute(f"SET ROLE {other}")


def test_no_role_of_ours_can_step_past_row_level_security(filled: str) -> None:
    with psycopg.connect(filled) as admin:
        rows = admin.execute(
            "SELECT rolname FROM pg_roles WHERE (rolsuper OR rolbypassrls OR rolcreaterole) "
            "AND rolname IN ('inventory_owner', 'gate_owner', 'api_owner', 'authenticator', "
            "'web_anon', 'web_user', 'inventory_writer', 'people_auditor', 'people_db_admin', "
            "'pgadmin')"
        ).fetchall()
    assert rows == []


def test_every_schema_has_one_owner_and_api_shows_no_table(filled: str) -> None:
    with psycopg.connect(filled) as admin:
        owners = dict(
            admin.execute(
                "SELECT n.nspname, array_agg(DISTINCT c.relowner::regrole::text) "
                "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE n.nspname IN ('inventory', 'gate', 'api') AND c.relkind IN ('r', 'v') "
                "GROUP BY 1"
            ).fetchall()
        )
        kinds = admin.execute(
            "SELECT DISTINCT relkind FROM pg_class WHERE relnamespace = 'api'::regnamespace"
        ).fetchall()
    assert owners == {
        "inventory": ["inventory_owner"],
        "gate": ["gate_owner"],
        "api": ["api_owner"],
    }
    assert kinds == [("v",)]


def test_an_auditor_who_signs_in_to_sql_reads_all_namespaces(
    filled: str, data_dsn: Callable[[str], str]
) -> None:
    with psycopg.connect(filled, autocommit=True) as admin:
        admin.execute("CREATE ROLE grace LOGIN PASSWORD 'for-tests-only' IN ROLE people_auditor")
        try:
            with psycopg.connect(data_dsn("grace")) as grace:
                seen = {row[0] for row in grace.execute("SELECT namespace FROM api.certificates")}
                assert seen == {"default", "guest"}
                found = grace.execute("SELECT namespace FROM api.search_by_name('.test')")
                assert {row[0] for row in found} == {"default", "guest"}
                for table in CLOSED:
                    with pytest.raises(errors.InsufficientPrivilege), grace.transaction():
                        grace.execute(f"SELECT * FROM {table}")
                with pytest.raises(errors.InsufficientPrivilege), grace.transaction():
                    grace.execute("DELETE FROM inventory.certificate")
        finally:
            admin.execute("DROP ROLE grace")
