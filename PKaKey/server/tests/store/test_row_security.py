"""Raw SQL as each of the platform's roles, against the real database."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

# Tables without a namespace: users and their second factors, sessions, Django's and Wagtail's own
# (docs/adr/0003). Whatever stands in no such app must be under row-level security.
GLOBAL_APPS = frozenset(
    {
        "accounts",
        "account",
        "mfa",
        "auth",
        "contenttypes",
        # Clients, digests of tokens, and whose subject is whose account: no namespace's.
        "allauth_idp_oidc",
        "socialaccount",
        "sessions",
        "portal",
        "taggit",
        "wagtailadmin",
        "wagtailcore",
        "wagtaildocs",
        "wagtailimages",
        "wagtailsearch",
        "wagtailusers",
    }
)
# Tables of the platform's own, with no namespace: only the relay's functions reach them.
RELAYS = frozenset({"outbox_inventory"})


@pytest.fixture
def as_role(role_dsn: Callable[[str], str], platform: Any) -> Iterator[Callable[[str], Any]]:
    opened = []

    def connect(role: str) -> Any:
        opened.append(psycopg.connect(role_dsn(role), autocommit=True))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


def domain_tables(connection: Any) -> list[str]:
    """Every table of the schema public that no global app owns, walked from the catalogue."""
    from django.apps import apps

    global_tables = {
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_label in GLOBAL_APPS
    } | {"django_migrations"}
    found = connection.execute(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') "
        "AND relnamespace = 'public'::regnamespace"
    ).fetchall()
    return sorted({row[0] for row in found} - global_tables)


def test_every_domain_table_forces_row_level_security(admin_connection: Any) -> None:
    tables = domain_tables(admin_connection)
    assert len(tables) >= 14
    for table in tables:
        row = admin_connection.execute(
            "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::regclass",
            [f"public.{table}"],
        ).fetchone()
        assert row == (True, True), f"{table} is not under forced row-level security"


def test_no_role_can_bypass_row_level_security(admin_connection: Any) -> None:
    rows = admin_connection.execute(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'pkakey_%' "
        "AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolinherit)"
    ).fetchall()
    assert rows == []


@pytest.mark.parametrize("role", ["pkakey_web", "pkakey_worker", "pkakey_owner"])
def test_without_a_namespace_no_table_shows_a_row(
    platform: Any, admin_connection: Any, as_role: Callable[[str], Any], role: str
) -> None:
    platform.issue()
    connection = as_role(role)
    for table in sorted(set(domain_tables(admin_connection)) - RELAYS):
        count = connection.execute(
            sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
        ).fetchone()
        assert count == (0,), table


def test_only_the_relay_reaches_what_has_no_namespace(
    platform: Any, admin_connection: Any, as_role: Callable[[str], Any]
) -> None:
    assert set(domain_tables(admin_connection)) >= RELAYS
    for table in RELAYS:
        count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("public", table))
        assert admin_connection.execute(count).fetchone() == (1,), table
        # The owner of the table, who may ask, is shown nothing.
        assert as_role("pkakey_owner").execute(count).fetchone() == (0,), table
        for role in ("pkakey_web", "pkakey_worker", "pkakey_status"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                as_role(role).execute(count)


def test_the_web_role_sees_no_row_of_another_namespace(
    platform: Any, admin_connection: Any, as_role: Callable[[str], Any]
) -> None:
    platform.issue(idempotency_key="one")
    platform.token("certificates:read")
    web = as_role("pkakey_web")
    seen = set()
    for table in sorted(set(domain_tables(admin_connection)) - RELAYS):
        column = "id" if table == "namespaces_namespace" else "namespace_id"
        query = sql.SQL("SELECT count(*) FROM {} WHERE {} = {}").format(
            sql.Identifier(table), sql.Identifier(column), sql.Literal(platform.namespace_id)
        )
        with web.transaction():
            web.execute("SELECT pki.act_as(%s, 'user:1', '')", [platform.guest.namespace_id])
            count = web.execute(query).fetchone()[0]
        if admin_connection.execute(query).fetchone()[0]:
            seen.add(table)
        if table in {"authorities_authority", "authorities_grant"}:
            # Shared with the guest by grants, on purpose, to be read.
            assert count == 2, table
        else:
            assert count == 0, table
    # The proof counts only where there was something to hide.
    assert {"certificates_certificate", "certificates_intent", "tokens_token"} <= seen
    assert {"certificates_idempotencykey", "audit_entry", "outbox_event"} <= seen


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("namespaces_namespace", "name"),
        ("profiles_profile", "is_current"),
        ("authorities_authority", "state"),
        ("tokens_token", "revoked_at"),
    ],
)
def test_the_web_role_changes_no_row_of_another_namespace(
    platform: Any, as_role: Callable[[str], Any], table: str, column: str
) -> None:
    platform.token("certificates:read")
    web = as_role("pkakey_web")
    with web.transaction():
        web.execute("SELECT pki.act_as(%s, 'user:1', '')", [platform.guest.namespace_id])
        own = "id" if table == "namespaces_namespace" else "namespace_id"
        changed = web.execute(
            sql.SQL("UPDATE {} SET {} = {} WHERE {} <> {}").format(
                sql.Identifier(table),
                sql.Identifier(column),
                sql.Identifier(column),
                sql.Identifier(own),
                sql.Literal(platform.guest.namespace_id),
            )
        ).rowcount
    assert changed == 0


def test_the_web_role_inserts_no_row_into_another_namespace(
    platform: Any, as_role: Callable[[str], Any]
) -> None:
    web = as_role("pkakey_web")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), web.transaction():
        web.execute("SELECT pki.act_as(%s, 'user:1', '')", [platform.guest.namespace_id])
        web.execute(
            "INSERT INTO tokens_token (id, namespace_id, name, token_sha256, scopes, created_by, "
            "created_by_name, created_at, expires_at) "
            "VALUES (%s, %s, 'x', 'x', '{}', 'x', 'x', now(), now())",
            [uuid4(), platform.namespace_id],
        )


def test_a_namespace_cannot_grant_itself_the_authority_of_another(
    platform: Any, as_role: Callable[[str], Any], admin_connection: Any
) -> None:
    admin_connection.execute("DELETE FROM authorities_grant")
    web = as_role("pkakey_web")
    with (
        pytest.raises(psycopg.errors.RaiseException, match="Only the namespace"),
        web.transaction(),
    ):
        web.execute("SELECT pki.act_as(%s, 'user:1', '')", [platform.guest.namespace_id])
        web.execute(
            "INSERT INTO authorities_grant (id, namespace_id, authority_id, granted_namespace_id, "
            "created_at) VALUES (%s, %s, %s, %s, now())",
            [
                uuid4(),
                platform.guest.namespace_id,
                platform.issuing_id,
                platform.guest.namespace_id,
            ],
        )


FORBIDDEN = (
    "UPDATE audit_entry SET action = 'x'",
    "DELETE FROM audit_entry",
    "TRUNCATE audit_entry",
    "INSERT INTO audit_entry (namespace_id) VALUES (NULL)",
    "UPDATE certificates_certificate SET der = 'x'",
    "UPDATE certificates_certificate SET serial_number = '1'",
    "UPDATE certificates_certificate SET revoked_at = NULL",
    "DELETE FROM certificates_certificate",
    "INSERT INTO certificates_certificate (id) VALUES (gen_random_uuid())",
    "INSERT INTO certificates_intent (id) VALUES (gen_random_uuid())",
    "UPDATE certificates_intent SET state = 'open'",
    "DELETE FROM certificates_intent",
    "DELETE FROM outbox_event",
    "INSERT INTO outbox_event (id) VALUES (gen_random_uuid())",
    "DELETE FROM tokens_token",
    "UPDATE tokens_token SET scopes = '{}'",
    "UPDATE tokens_token SET expires_at = now()",
    "DELETE FROM namespaces_namespace",
    "DROP TABLE audit_entry",
    "SELECT * FROM intents.signing_intent(gen_random_uuid())",
    "SET ROLE pkakey_lookup",
    "SET ROLE pkakey_functions",
)


@pytest.mark.parametrize("role", ["pkakey_web", "pkakey_worker"])
def test_the_processes_may_not(platform: Any, as_role: Callable[[str], Any], role: str) -> None:
    connection = as_role(role)
    done = []
    for statement in FORBIDDEN:
        try:
            with connection.transaction():
                connection.execute("SELECT pki.act_as(%s, 'user:1', '')", [platform.namespace_id])
                connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            continue
        done.append(statement)
    assert done == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET action = 'x'",
        "DELETE FROM audit_entry",
        "TRUNCATE audit_entry",
        "UPDATE certificates_certificate SET der = 'x'",
        "DELETE FROM certificates_certificate",
        "TRUNCATE certificates_certificate CASCADE",
        "DELETE FROM certificates_intent",
        "TRUNCATE certificates_intent CASCADE",
        # No foreign key of the hot path keeps these.
        "DELETE FROM authorities_authority",
        "TRUNCATE authorities_authority CASCADE",
        "DELETE FROM namespaces_namespace",
        "TRUNCATE namespaces_namespace CASCADE",
    ],
)
def test_not_even_an_administrator_changes_what_is_recorded(
    platform: Any, admin_connection: Any, statement: str
) -> None:
    platform.issue()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        admin_connection.execute(statement)


@pytest.mark.parametrize("role", ["pkakey_signer", "pkakey_status"])
def test_signer_and_status_see_no_table(
    admin_connection: Any, as_role: Callable[[str], Any], role: str
) -> None:
    connection = as_role(role)
    tables = admin_connection.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    ).fetchall()
    for (table,) in tables:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(sql.SQL("SELECT 1 FROM public.{}").format(sql.Identifier(table)))


def test_nothing_of_ours_is_open_to_everybody(admin_connection: Any) -> None:
    functions = admin_connection.execute(
        "SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        "WHERE n.nspname IN ('pki', 'intents', 'status') "
        "AND has_function_privilege('public', p.oid, 'EXECUTE') AND p.prorettype <> "
        "'trigger'::regtype"
    ).fetchall()
    assert functions == []


def test_every_function_with_the_rights_of_its_owner_pins_its_search_path(
    admin_connection: Any,
) -> None:
    loose = admin_connection.execute(
        "SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        "WHERE n.nspname IN ('pki', 'intents', 'status') AND p.prosecdef "
        "AND NOT coalesce(array_to_string(p.proconfig, ','), '') LIKE '%search_path=%'"
    ).fetchall()
    assert loose == []


def test_status_functions_answer_for_the_status_role(
    platform: Any, as_role: Callable[[str], Any]
) -> None:
    issued = platform.issue()
    status = as_role("pkakey_status")
    query = "SELECT * FROM status.certificate_status(%s, %s)"
    asked = [platform.issuing_id, issued.serial_number]
    assert status.execute(query, asked).fetchall() == [(None, None)]
    assert status.execute(query, [platform.issuing_id, "1"]).fetchall() == []
    assert status.execute(query, [platform.root_id, issued.serial_number]).fetchall() == []
    platform.services.revoke_certificate(
        principal=platform.admin,
        serial_number=issued.serial_number,
        reason="superseded",
        now=platform.now,
    )
    assert status.execute(query, asked).fetchall() == [(platform.now, "superseded")]
    assert len(status.execute("SELECT * FROM status.ocsp_responders()").fetchall()) == 2
    crl = status.execute("SELECT * FROM status.current_crl(%s)", [platform.issuing_id]).fetchall()
    assert len(crl) == 1
