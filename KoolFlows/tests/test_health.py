"""Liveness asks nobody; readiness asks the database."""

import socket
from typing import Any

import pytest
from django.db import connections
from django.test import Client


def test_a_living_process_says_so_without_a_database() -> None:
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"state": "alive"})


@pytest.mark.django_db(transaction=True)
def test_a_service_with_its_database_is_ready() -> None:
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["parts"]) == (200, {"database": "ok"})


@pytest.mark.django_db(transaction=True)
def test_a_service_whose_database_is_gone_is_not_ready() -> None:
    default = connections["default"]
    default.close()
    port = default.settings_dict["PORT"]
    default.settings_dict["PORT"] = "1"
    try:
        answer = Client().get("/readyz")
    finally:
        default.settings_dict["PORT"] = port
    assert (answer.status_code, answer.json()["parts"]) == (503, {"database": "unavailable"})


@pytest.mark.django_db(transaction=True)
def test_the_web_role_cannot_bypass_row_level_security(role_dsn: Any) -> None:
    import psycopg

    with psycopg.connect(role_dsn("koolflows_web")) as web:
        row = web.execute(
            "SELECT rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = user"
        ).fetchone()
    assert row == (False, False, False)


@pytest.mark.parametrize("came", ["", "a b", "x" * 65, "a\nb"])
def test_a_malformed_request_id_is_replaced(came: str) -> None:
    answer = Client().get("/healthz", headers={"X-Request-ID": came})
    assert answer.headers["X-Request-ID"] != came


def test_a_request_id_is_kept() -> None:
    answer = Client().get("/healthz", headers={"X-Request-ID": "gateway.7-a_b"})
    assert answer.headers["X-Request-ID"] == "gateway.7-a_b"


@pytest.mark.django_db(transaction=True)
def test_readiness_answers_while_the_database_holds_its_answer_back() -> None:
    """As PgBouncer does when the server behind it is gone."""
    default = connections["default"]
    default.close()
    there = {name: default.settings_dict[name] for name in ("HOST", "PORT")}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        default.settings_dict.update(HOST="127.0.0.1", PORT=port)
        try:
            answer = Client().get("/readyz")
        finally:
            default.settings_dict.update(there)
    assert (answer.status_code, answer.json()["parts"]) == (503, {"database": "unavailable"})
