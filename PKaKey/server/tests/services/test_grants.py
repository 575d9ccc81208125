"""Grants: once approved, later requests inside them need no human; all others still do."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from PKaKey.server.tests.services.test_approvals import (
    Flows,
    ask,
    asking,
    flows,
    operation,
    told,
)

__all__ = ["asking", "flows"]  # Fixtures.


def grant(
    platform: Any, *, job: str = "grant-1", process: str | None = None, **changes: Any
) -> Any:
    parameters = {
        "team": "default", "pattern": "*.x.internal", "profile": "tls-client",
        "until": (platform.now + timedelta(days=30)).isoformat(),
    }  # fmt: skip
    parameters |= changes.pop("parameters", {})
    told_process = {
        "id": process or str(uuid4()), "key": "namespace-grant", "version": 2, "sha256": "e" * 64,
        "namespace": "default", "path": ["GrantStart", "GrantDecide", "GrantDecided"],
        "deciders": [{"subject": "9", "name": "otto", "element": "GrantDecide", "at": "now"}],
    }  # fmt: skip
    body = {"parameters": parameters, "process": told_process | changes}
    return operation("grant", body, job=job)


def test_within_a_grant_nobody_is_asked_and_the_certificate_names_its_process(
    asking: Any, flows: Flows
) -> None:
    from pkakey.selectors.requests import request_of_certificate

    process = str(uuid4())
    assert grant(asking, process=process).status_code == 200
    issued = ask(asking, "a.x.internal")
    assert issued.serial_number
    assert flows.asked == []
    allowed = request_of_certificate(asking.admin, issued.id)
    assert allowed is not None
    assert (str(allowed.process_id), allowed.diagram, allowed.diagram_version) == (
        process, "namespace-grant", 2,
    )  # fmt: skip
    assert allowed.path[-1] == "GrantDecided"
    assert [one["name"] for one in allowed.deciders] == ["otto"]
    # Without KoolFlows, too.
    flows.is_away = True
    assert ask(asking, "b.x.internal").serial_number


@pytest.mark.parametrize("name", ["x.internal", "a.b.x.internal", "a.y.internal", "ax.internal"])
def test_beside_the_grants_names_people_decide(asking: Any, flows: Flows, name: str) -> None:
    assert grant(asking).status_code == 200
    assert ask(asking, name).state == "waiting"
    assert len(flows.asked) == 1


def test_another_profile_is_not_granted(asking: Any) -> None:
    assert grant(asking, parameters={"profile": "tls-server"}).status_code == 200
    assert ask(asking, "a.x.internal").state == "waiting"


def test_after_its_date_and_when_withdrawn_people_decide_again(asking: Any) -> None:
    from django.core.management import call_command

    answer = grant(asking)
    later = asking.now + timedelta(days=31)
    asked = ask(asking, "late.x.internal", now=later)
    assert asked.state == "waiting"
    out = StringIO()
    call_command("grants", stdout=out)
    assert "active     *.x.internal  tls-client" in out.getvalue()
    call_command("grants", "--withdraw", answer.json()["grant"], "--reason", "gone", stdout=out)
    assert ask(asking, "a.x.internal").state == "waiting"
    out = StringIO()
    call_command("grants", "--state", "active", stdout=out)
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--namespace", "nowhere"], "no namespace 'nowhere'"),
        (["--withdraw", str(uuid4())], "no such grant"),
        (["--reason", "x"], "Say why"),
        (["--namespace", "guest"], "no such grant"),
    ],
)
def test_a_command_that_cannot_be_says_why_and_withdraws_nothing(
    asking: Any, words: list[str], said: str
) -> None:
    from django.core.management import CommandError, call_command

    answer = grant(asking)
    given = words if "--withdraw" in words else ["--withdraw", answer.json()["grant"], *words]
    with pytest.raises(CommandError, match=said):
        call_command("grants", *given)
    assert ask(asking, "a.x.internal").serial_number


def test_the_same_process_records_one_grant_and_no_other(
    asking: Any, admin_connection: Any
) -> None:
    process = str(uuid4())
    first = grant(asking, process=process)
    again = grant(asking, process=process)
    assert first.json() == again.json()
    other = grant(asking, process=process, parameters={"pattern": "*.y.internal"})
    assert (other.status_code, other.json()["code"]) == (409, "grant.changed")
    count = admin_connection.execute("SELECT count(*) FROM requests_grant").fetchone()
    assert count == (1,)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"parameters": {"pattern": "*.internal"}}, "name.wildcard"),
        ({"parameters": {"pattern": "a.*.internal"}}, "name."),
        ({"parameters": {"pattern": "*"}}, "name."),
        ({"parameters": {"until": "tomorrow"}}, "operation.malformed"),
        ({"parameters": {"until": "2099-01-01T00:00:00"}}, "operation.malformed"),
        ({"parameters": {"until": "2099-01-01T00:00:00Z"}}, "grant.until"),
        ({"parameters": {"until": "2001-01-01T00:00:00Z"}}, "grant.until"),
        ({"parameters": {"profile": "none-such"}}, "resource.not-found"),
        ({"parameters": {"team": "other"}}, "grant.other-namespace"),
        ({"parameters": {"team": 7}}, "operation.malformed"),
        ({"key": "certificate-approval-one"}, "grant.other-diagram"),
        ({"deciders": []}, "grant.other-diagram"),
    ],
)
def test_a_grant_that_is_none_is_refused_and_grants_nothing(
    asking: Any, admin_connection: Any, changes: dict[str, Any], code: str
) -> None:
    answer = grant(asking, **changes)
    assert answer.status_code in {404, 409, 422}, answer.content
    assert answer.json()["code"].startswith(code)
    assert admin_connection.execute("SELECT count(*) FROM requests_grant").fetchone() == (0,)


def test_the_same_key_gets_the_same_certificate(asking: Any) -> None:
    from pkakey_engine.testing.requests import make_csr

    grant(asking)
    csr = make_csr(dns=["k.x.internal"])
    options = {
        "principal": asking.admin, "csr": csr, "profile": "tls-client", "now": asking.now,
        "source": "api", "idempotency_key": "once",
    }  # fmt: skip
    first = asking.services.issue_certificate(**options)
    again = asking.services.issue_certificate(**options)
    assert first.serial_number == again.serial_number


def test_a_grant_never_changes_even_by_an_administrator(asking: Any, admin_dsn: str) -> None:
    grant(asking)
    for statement in (
        "UPDATE requests_grant SET pattern = '*.y.internal'",
        "UPDATE requests_grant SET until = until + interval '1 year'",
        "DELETE FROM requests_grant",
        "TRUNCATE requests_grant",
    ):
        with psycopg.connect(admin_dsn) as admin, pytest.raises(psycopg.errors.Error):
            admin.execute(statement)


def test_a_grants_process_cannot_issue_for_a_request_that_waits(asking: Any) -> None:
    asked = ask(asking, "a.y.internal")
    body = told(asked, key="namespace-grant")
    assert json.loads(operation("issue", body).content)["code"] == "request.other-diagram"
