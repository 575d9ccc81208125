"""The real PostgREST as the official Python client sees it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from postgrest import APIError, SyncPostgrestClient

from PeSequel.tests import world


@pytest.fixture
def client(data_api: Any) -> Iterator[Callable[..., SyncPostgrestClient]]:
    """Return a client as the bearer of a token with these claims."""
    with ExitStack() as opened:

        def of(**claims: Any) -> SyncPostgrestClient:
            made = opened.enter_context(SyncPostgrestClient(data_api.url, schema="api"))
            return made.auth(data_api.signer.token(**claims))

        yield of


def names(answer: Any) -> set[str]:
    return {row["subject"].removeprefix("CN=") for row in answer.data}


def test_the_columns_that_the_contract_names_are_there(client: Any) -> None:
    row = (
        client()
        .table("certificates")
        .select("serial_number,subject,names,not_after,status")
        .eq("serial_number", world.serial("www.example.test"))
        .single()
        .execute()
        .data
    )
    assert row["subject"] == "CN=www.example.test"
    assert row["names"] == ["www.example.test", "192.0.2.7"]
    assert row["status"] == "valid"
    assert datetime.fromisoformat(row["not_after"]) > datetime.now(tz=UTC)


def test_each_status_is_told(client: Any) -> None:
    rows = client().table("certificates").select("subject,status").execute().data
    status = {row["subject"]: row["status"] for row in rows}
    assert status["CN=past.example.test"] == "expired"
    assert status["CN=gone.example.test"] == "revoked"
    assert status["CN=www.example.test"] == "valid"


def test_two_namespaces_cannot_see_each_other(client: Any) -> None:
    ours = names(client().table("certificates").select("*").execute())
    theirs = names(client(namespace="guest").table("certificates").select("*").execute())
    assert theirs == {"secret.guest.test", "inner.guest.test"}
    assert not ours & theirs
    asked = client().table("certificates").select("*").eq("namespace", "guest").execute()
    assert asked.data == []
    found = client().rpc("search_by_name", {"name": "guest"}).execute()
    assert found.data == []


def test_a_namespace_without_anything_sees_nothing(client: Any) -> None:
    for view in ("certificates", "authorities", "profiles", "requests", "audit_entries"):
        assert client(namespace="nobody").table(view).select("*").execute().data == []


def test_a_token_with_data_read_alone_reads_certificates_and_no_audit_log(client: Any) -> None:
    machine = client(roles=None, scope="data:read")
    assert len(machine.table("certificates").select("*").execute().data) > 0
    assert machine.table("audit_entries").select("*").execute().data == []
    auditor = client(roles=None, scope="data:read audit:read")
    assert len(auditor.table("audit_entries").select("*").execute().data) == 2


def test_a_part_of_a_name_a_serial_number_a_fingerprint_and_a_key_id_are_found(
    client: Any,
) -> None:
    name = "www.example.test"
    asked = client()
    assert names(asked.rpc("search_by_name", {"name": "WWW.exam"}).execute()) == {name}
    for function, field, value in (
        ("search_by_serial_number", "serial_number", world.serial(name)),
        ("search_by_fingerprint", "fingerprint", world.fingerprint(name)),
        ("search_by_key_id", "key_id", world.key_id(name)),
    ):
        for written in (
            value,
            value.upper(),
            ":".join(value[i : i + 2] for i in range(0, len(value), 2)),
        ):
            assert names(asked.rpc(function, {field: written}).execute()) == {name}, written


def test_the_characters_of_patterns_mean_themselves(client: Any) -> None:
    found = names(client().rpc("search_by_name", {"name": "100%_s"}).execute())
    assert found == {"100%_sure.example.test"}
    assert client().rpc("search_by_name", {"name": "%%%"}).execute().data == []
    assert client().rpc("search_by_name", {"name": "w_w.ex"}).execute().data == []


def test_filters_order_pages_and_counts(client: Any) -> None:
    asked = client().table("certificates").select("subject", count="exact")
    soon = (datetime.now(tz=UTC) + timedelta(days=10)).isoformat()
    found = asked.lt("not_after", soon).order("not_after").execute()
    assert [row["subject"] for row in found.data] == [
        "CN=past.example.test",
        "CN=soon.example.test",
    ]
    assert found.count == 2
    page = (
        client().table("certificates").select("subject", count="exact").order("subject").range(1, 2)
    ).execute()
    assert len(page.data) == 2
    assert page.count == 7
    by_name = (
        client().table("certificates").select("subject").contains("names", ["www.example.test"])
    )
    assert names(by_name.execute()) == {"www.example.test"}


def test_an_authority_is_embedded(client: Any) -> None:
    found = (
        client()
        .table("certificates")
        .select("subject,authorities(name)")
        .eq("subject", "CN=www.example.test")
        .single()
        .execute()
    )
    assert found.data["authorities"] == {"name": "issuing"}


def test_csv_comes_with_a_heading(client: Any) -> None:
    text = client().table("daily_counts").select("day,issued,revoked").csv().execute().data
    assert text.splitlines()[0] == "day,issued,revoked"


def test_the_views_of_summaries(client: Any) -> None:
    asked = client()
    (ending,) = asked.table("expiring").select("subject,days_left").execute().data
    assert ending == {"subject": "CN=soon.example.test", "days_left": 4}
    assert asked.table("revocations").select("reason").execute().data == [
        {"reason": "keyCompromise"}
    ]
    kinds = asked.table("algorithms").select("key_algorithm,certificates").execute().data
    assert {"key_algorithm": "EC P-256", "certificates": 4} in kinds
    outcomes = asked.table("requests").select("outcome,note").eq("outcome", "abandoned").execute()
    assert outcomes.data == [{"outcome": "abandoned", "note": "The signer refused it."}]
    current = asked.table("profiles").select("version").is_("is_current", "true").execute().data
    assert current == [{"version": 2}]
    days = asked.table("daily_counts").select("issued,revoked").execute().data
    assert sum(day["issued"] for day in days) == 7
    assert sum(day["revoked"] for day in days) == 1
    (fresh,) = asked.table("freshness").select("*").execute().data
    assert (fresh["waiting"], fresh["lag_seconds"], fresh["set_aside"]) == (0, 0, 0)


def test_a_refusal_reaches_the_client_as_a_sentence(client: Any) -> None:
    with pytest.raises(APIError, match="does not permit data:read"):
        client(roles=["db-admin"]).table("certificates").select("*").execute()
    with pytest.raises(APIError, match="read-only"):
        client().table("certificates").insert({"subject": "CN=x"}).execute()


def test_openapi_describes_every_view_and_every_column(data_api: Any) -> None:
    document = data_api.get("/").json()
    assert document["info"]["title"] == "theDDT data API"
    shown = document["definitions"]
    assert {"certificates", "authorities", "freshness"} <= set(shown)
    for view, definition in shown.items():
        assert definition.get("description"), view
        for column, about in definition["properties"].items():
            assert about.get("description"), f"{view}.{column}"
    assert {path for path in document["paths"] if path.startswith("/rpc/")} == {
        "/rpc/search_by_name",
        "/rpc/search_by_serial_number",
        "/rpc/search_by_fingerprint",
        "/rpc/search_by_key_id",
    }
