"""Grants over REST: listed, shown and withdrawn, each in its own namespace."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from PKaKey.server.tests.conftest import Platform
from PKaKey.server.tests.fronts.conftest import granted
from PKaKey.server.tests.fronts.rest.rest_client import RESTClient, problem

REASON = {"reason": "the team is gone"}


@pytest.fixture(scope="module")
def grants(platform: Platform) -> dict[str, UUID]:
    """One active grant, one past its date and one withdrawn; and one of a guest."""
    now = datetime.now(tz=UTC)
    made = {
        "active": granted(platform, "*.active.internal", made=now),
        "expired": granted(platform, "*.past.internal", made=now - timedelta(days=60)),
        "withdrawn": granted(platform, "*.gone.internal", made=now - timedelta(days=1)),
        "guest": granted(platform, "*.guest.internal", made=now, namespace="guest"),
    }
    platform.services.flows.withdraw(
        principal=platform.admin, grant_id=made["withdrawn"], reason="over", now=now
    )
    return made


def test_a_grant_shows_its_state_and_what_allowed_it(
    reader: RESTClient, grants: dict[str, UUID]
) -> None:
    for state in ("active", "expired", "withdrawn"):
        body = reader.get(f"grants/{grants[state]}/").json()
        assert (body["state"], body["diagram"], body["diagram_version"]) == (
            state, "namespace-grant", 3,
        )  # fmt: skip
        assert body["path"][-1] == "GrantDecided"
        assert body["deciders"][0]["name"] == "otto"
        assert body["links"]["portal"].endswith(f"/portal/grants/{grants[state]}/")
        assert (body["withdrawn_at"] is not None) == (state == "withdrawn")
        listed = reader.get(f"grants/?state={state}").json()["results"]
        assert str(grants[state]) in [one["id"] for one in listed]
        assert {one["state"] for one in listed} == {state}


@pytest.mark.usefixtures("grants")
def test_pages_lead_through_all_of_them_and_back(reader: RESTClient) -> None:
    def ids(page: Any) -> list[str]:
        return [one["id"] for one in page["results"]]

    def follow(address: str) -> Any:
        return reader.get(address.partition("/api/v1/")[2]).json()

    whole = ids(reader.get("grants/").json())
    pages = [reader.get("grants/?page_size=2").json()]
    while pages[-1]["next"]:
        pages.append(follow(pages[-1]["next"]))
    assert [one for page in pages for one in ids(page)] == whole
    assert len(pages) > 1
    assert ids(follow(pages[-1]["previous"])) == ids(pages[-2])


def test_who_withdraws_needs_the_right_to_revoke_and_says_why(
    officer: RESTClient, reader: RESTClient, client_with: Callable[..., RESTClient],
    platform: Platform,
) -> None:  # fmt: skip
    one = granted(platform, "*.ending.internal", made=datetime.now(tz=UTC))
    address = f"grants/{one}/withdraw/"
    problem(reader.post(address, REASON), 403, "permission.denied")
    problem(client_with("certificates:issue").post(address, REASON), 403, "permission.denied")
    problem(RESTClient().post(address, REASON), 401, "token.missing")
    problem(officer.post(address, {}), 400, "request.invalid")
    problem(officer.post(address, {"reason": "   "}), 422, "grant.reason")
    problem(officer.post(address, {"reason": "x" * 1001}), 400, "request.invalid")
    problem(officer.post(address, {**REASON, "until": "now"}), 400, "request.invalid")
    assert reader.get(f"grants/{one}/").json()["state"] == "active"
    # Who may revoke need not be one who may read.
    answer = client_with("certificates:revoke").post(address, REASON)
    assert (answer.status_code, answer.json()["state"]) == (200, "withdrawn")
    assert reader.get(f"grants/{one}/").json()["withdrawn_at"] == answer.json()["withdrawn_at"]
    problem(officer.post(address, REASON), 409, "grant.withdrawn")


@pytest.mark.parametrize("path", ["", "withdraw/"])
def test_another_namespaces_grant_is_not_there(
    officer: RESTClient, guest: RESTClient, grants: dict[str, UUID], path: str
) -> None:
    for client, grant_id in ((officer, grants["guest"]), (guest, grants["active"]),
                             (officer, uuid4())):  # fmt: skip
        address = f"grants/{grant_id}/{path}"
        answer = client.post(address, REASON) if path else client.get(address)
        problem(answer, 404, "resource.not-found")
    assert guest.get("grants/").json()["results"][0]["pattern"] == "*.guest.internal"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("state=open", "request.invalid"),
        ("state=", "request.invalid"),
        ("page_size=0", "request.invalid"),
        ("page_size=201", "request.invalid"),
        ("team=default", "request.invalid"),
        ("cursor=none", "cursor.malformed"),
        ("cursor=WzAsIngiLCJ5Il0", "cursor.malformed"),
    ],
)
def test_a_list_that_cannot_be_is_refused(reader: RESTClient, query: str, code: str) -> None:
    problem(reader.get(f"grants/?{query}"), 400, code)


def test_a_list_needs_the_right_to_read(client_with: Callable[..., Any]) -> None:
    problem(client_with("certificates:issue").get("grants/"), 403, "permission.denied")
