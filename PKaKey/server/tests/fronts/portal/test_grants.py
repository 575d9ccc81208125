"""Grants in the portal: listed, shown, asked for and withdrawn, by role."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from pkakey_engine.testing.requests import make_csr

from PKaKey.server.tests.fronts.conftest import granted
from PKaKey.server.tests.services.test_approvals import Flows

GRANTS = "/portal/grants/"
NEW = f"{GRANTS}new/"
STATES = {"active": "active", "past": "expired", "gone": "withdrawn"}


@pytest.fixture(scope="module")
def grants(platform: Any) -> dict[str, UUID]:
    """One active grant, one past its date and one withdrawn, in `default`."""
    now = datetime.now(tz=UTC)
    made = {
        name: granted(platform, f"*.{name}.internal", made=now - timedelta(days=days))
        for name, days in (("active", 0), ("past", 60), ("gone", 1))
    }
    platform.services.flows.withdraw(
        principal=platform.admin, grant_id=made["gone"], reason="over", now=now
    )
    return made


@pytest.fixture
def flows(platform: Any, monkeypatch: pytest.MonkeyPatch) -> Flows:
    """KoolFlows' side, for what the portal asks of it."""
    from pkakey.config import wiring
    from pkakey.services import Services

    beside = Flows()
    bound = Services(replace(platform.services.outside, flows=beside))
    monkeypatch.setattr(wiring, "services", lambda: bound)
    return beside


@pytest.fixture
def needs_approval(platform: Any) -> Iterator[None]:
    """The profile `tls-client` needs an officer."""
    platform.services.require_approval(
        namespace="default", profile="tls-client", diagram="certificate-approval-one",
        now=platform.now,
    )  # fmt: skip
    yield
    from pkakey.services.issuing_authority import forget

    forget()


@pytest.mark.usefixtures("grants")
@pytest.mark.parametrize(("name", "state"), STATES.items())
def test_each_grant_shows_its_state(officer: Client, name: str, state: str) -> None:
    [row] = [r for r in officer.get(GRANTS).text.split("<tr>") if f"*.{name}.internal" in r]
    assert f">{state}</span>" in row
    found = officer.get(f"{GRANTS}?state={state}").text
    others = STATES.keys() - {name}
    assert f"*.{name}.internal" in found
    assert not any(f"*.{other}.internal" in found for other in others)


@pytest.mark.usefixtures("grants")
def test_another_namespace_sees_none_of_them(
    client_of: Callable[..., Client], grants: dict[str, UUID]
) -> None:
    client = client_of("pki-officer", namespace="guest")
    text = client.get(GRANTS).text
    assert "No grants" in text
    assert ".internal" not in text
    for path in ("", "withdraw/"):
        assert client.get(f"{GRANTS}{grants['active']}/{path}").status_code == 404
    assert client.post(f"{GRANTS}{grants['active']}/withdraw/", {"reason": "no"}).status_code == 404


@pytest.mark.parametrize(
    ("path", "may"),
    [
        ("", {"pki-admin", "pki-officer", "pki-auditor", "pki-requester"}),
        ("ID/", {"pki-admin", "pki-officer", "pki-auditor", "pki-requester"}),
        ("new/", {"pki-admin", "pki-officer", "pki-requester"}),
        ("ID/withdraw/", {"pki-admin", "pki-officer"}),
    ],
)
def test_each_role_sees_its_pages_and_no_other(
    client_of: Callable[..., Client], grants: dict[str, UUID], path: str, may: set[str]
) -> None:
    address = GRANTS + path.replace("ID", str(grants["active"]))
    for role in ("pki-admin", "pki-officer", "pki-auditor", "pki-requester", "db-admin"):
        assert client_of(role).get(address).status_code == (200 if role in may else 403)
    assert client_of().get(address).status_code == 403
    assert Client(headers={"host": "pkakey.theddt.localhost"}).get(address).status_code == 302


def test_who_may_not_withdraw_cannot_even_by_hand(
    client_of: Callable[..., Client], officer: Client, grants: dict[str, UUID]
) -> None:
    address = f"{GRANTS}{grants['active']}/"
    for role in ("pki-auditor", "pki-requester"):
        client = client_of(role)
        assert "withdraw/" not in client.get(address).text
        assert client.post(f"{address}withdraw/", {"reason": "because"}).status_code == 403
    assert "withdraw/" in officer.get(address).text


def test_no_form_is_taken_without_its_token(person: Any, grants: dict[str, UUID]) -> None:
    strict = person("pki-officer").client(enforce_csrf_checks=True)
    for path in ("new/", f"{grants['active']}/withdraw/"):
        assert strict.post(GRANTS + path, {"reason": "because"}).status_code == 403


def test_a_withdrawn_grant_says_who_and_why_and_cannot_be_withdrawn_again(
    platform: Any, officer: Client
) -> None:
    address = f"{GRANTS}{granted(platform, '*.end.internal', made=datetime.now(tz=UTC))}/"
    for reason in ("", "no", "x" * 1001):
        answer = officer.post(f"{address}withdraw/", {"reason": reason})
        assert (answer.status_code, "grant.reason" in answer.text) == (400, True)
    assert ">active</span>" in officer.get(address).text
    answer = officer.post(f"{address}withdraw/", {"reason": "<the team is gone>"})
    assert answer.headers["location"] == address
    text = officer.get(address).text
    assert ">withdrawn</span>" in text
    assert "&lt;the team is gone&gt;" in text
    assert "withdraw/" not in text
    again = officer.post(f"{address}withdraw/", {"reason": "once more"})
    assert (again.status_code, "grant.withdrawn" in again.text) == (400, True)


@pytest.mark.usefixtures("needs_approval", "flows")
def test_a_grant_leads_to_what_it_let_through_and_what_allowed_it(
    platform: Any, officer: Client
) -> None:
    from pkakey.config import wiring

    now = datetime.now(tz=UTC)
    address = f"{GRANTS}{granted(platform, '*.inside.internal', made=now)}/"
    assert "No request so far." in officer.get(address).text
    issued = wiring.services().issue_certificate(
        principal=platform.admin, csr=make_csr(dns=["a.inside.internal"]), profile="tls-client",
        now=now, source="api",
    )  # fmt: skip
    text = officer.get(address).text
    assert f"/portal/certificates/{issued.serial_number}/" in text
    assert "a.inside.internal" in text
    assert "namespace-grant, version 3" in text
    assert "otto" in text
    assert re.search(r"/portal/approvals/processes/[0-9a-f-]{36}/", text)


def form(**changes: str) -> dict[str, str]:
    until = (datetime.now(tz=UTC) + timedelta(days=30)).date().isoformat()
    return {
        "pattern": "*.Team.internal", "profile": "tls-client", "until": until,
        "purpose": "the team's hosts", "key": str(uuid4()), **changes,
    }  # fmt: skip


def test_a_grant_is_asked_for_once_by_one_form(officer: Client, flows: Flows) -> None:
    sent = form()
    for _ in range(2):
        answer = officer.post(NEW, sent)
        assert answer.headers["location"] == f"/portal/approvals/processes/{flows.process}/"
    first, second = flows.asked
    assert first["key"] == second["key"] == sent["key"]
    assert (first["method"], first["path"]) == ("POST", "processes/")
    assert first["body"]["diagram"] == "namespace-grant"
    data = first["body"]["data"]
    assert (data["team"], data["pattern"]) == ("default", "*.Team.internal")
    assert data["until"] == f"{sent['until']}T23:59:59+00:00"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pattern": ""}, "name."),
        ({"pattern": "a.*.internal"}, "name."),
        ({"pattern": "*"}, "name."),
        ({"profile": "none-such"}, "no profile"),
        ({"profile": ""}, "no profile"),
        ({"until": "tomorrow"}, "grant.until"),
        ({"until": ""}, "grant.until"),
        ({"until": "2001-01-01"}, "grant.until"),
        ({"until": "9999-12-31"}, "grant.until"),
        ({"pattern": "<b>.internal"}, "&lt;b&gt;.internal"),
    ],
)
def test_what_can_never_be_granted_is_not_asked_of_people(
    officer: Client, flows: Flows, changes: dict[str, str], said: str
) -> None:
    answer = officer.post(NEW, form(**changes))
    assert answer.status_code == 400
    assert said in answer.text
    assert "the team&#x27;s hosts" in answer.text
    assert flows.asked == []


def test_a_word_of_koolflows_against_it_is_shown(officer: Client, flows: Flows) -> None:
    flows.status = 422
    answer = officer.post(NEW, form())
    assert (answer.status_code, "said no" in answer.text) == (422, True)
    flows.is_away = True
    answer = officer.post(NEW, form())
    assert (answer.status_code, "does not answer" in answer.text) == (503, True)


def test_the_lists_change_nothing(officer: Client, grants: dict[str, UUID]) -> None:
    assert officer.post(GRANTS).status_code == 405
    assert officer.post(f"{GRANTS}{grants['active']}/").status_code == 405


@pytest.mark.parametrize("cursor", ["none", "WzAsIngiLCJ5Il0"])
def test_a_page_that_was_never_given_out_is_no_error_of_ours(officer: Client, cursor: str) -> None:
    answer = officer.get(f"{GRANTS}?cursor={cursor}")
    assert (answer.status_code, "gave out no page" in answer.text) == (400, True)


def test_every_act_of_the_audit_log_has_words() -> None:
    from pathlib import Path

    import pkakey.services
    from pkakey.fronts.portal import words

    folder = Path(pkakey.services.__file__).parent
    named = set()
    for module in folder.glob("*.py"):
        named |= set(re.findall(r'action="([a-z.-]+)"', module.read_text()))
    assert named - words.ACTS.keys() == set()
