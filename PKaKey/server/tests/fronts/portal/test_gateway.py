"""The gateway's question who is an administrator, and the ticket between the two hosts."""

from collections.abc import Callable
from http.cookies import Morsel
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from PKaKey.server.tests.fronts.portal.conftest import HOST, Person

ASK = "/internal/forward-auth/admin"
BROWSER = {"accept": "text/html,application/xhtml+xml"}
COOKIE = "__Host-theddt-gateway"


def ticket_of(client: Client) -> str:
    where = urlsplit(client.get("/portal/gateway/open/").headers["Location"])
    assert where.netloc == "theddt.localhost:8443"
    return parse_qs(where.query)["ticket"][0]


def exchange(ticket: str) -> tuple[Client, Any]:
    gateway = Client(headers={"host": HOST})
    asked = f"/dashboard/?ticket={ticket}"
    return gateway, gateway.get(ASK, headers=BROWSER | {"x-forwarded-uri": asked})


def test_a_signed_in_administrator_passes(admin: Client) -> None:
    response = admin.get(ASK)
    assert response.status_code == 200
    assert response.content == b""


def test_a_stranger_with_a_browser_is_led_to_the_portals_sign_in(anonymous: Client) -> None:
    evil = {"x-forwarded-host": "evil.test", "x-forwarded-uri": "//evil.test/"}
    response = anonymous.get(ASK, headers=BROWSER | evil)
    assert response.headers["Location"] == (
        "https://pkakey.theddt.localhost:8443/accounts/login/?next=%2Fportal%2Fgateway%2F"
    )


def test_a_stranger_without_a_browser_is_refused(anonymous: Client) -> None:
    assert anonymous.get(ASK, headers={"accept": "application/json"}).status_code == 403


@pytest.mark.parametrize(
    "role", ["pki-officer", "pki-auditor", "pki-requester", "db-admin", "content-editor"]
)
def test_other_roles_are_refused(client_of: Callable[..., Client], role: str) -> None:
    client = client_of(role)
    assert client.get(ASK, headers=BROWSER).status_code == 403
    assert client.get("/portal/gateway/open/").status_code == 403


def test_an_administrator_with_a_one_time_password_does_not_pass(
    person: Callable[..., Person],
) -> None:
    assert person("pki-admin", must_change=True).client().get(ASK).status_code != 200


def test_a_ticket_opens_the_gateways_host_once(admin: Client) -> None:
    ticket = ticket_of(admin)
    gateway, response = exchange(ticket)
    assert response.headers["Location"] == "https://theddt.localhost:8443/dashboard/"
    morsel: Morsel[str] = response.cookies[COOKIE]
    assert morsel["secure"]
    assert morsel["httponly"]
    assert gateway.get(ASK).status_code == 200
    other, again = exchange(ticket)
    assert COOKIE not in again.cookies
    assert other.get(ASK).status_code == 403


@pytest.mark.parametrize("ticket", ["", "x", "%00", "A" * 43])
def test_an_invented_ticket_opens_nothing(platform: Any, ticket: str) -> None:
    gateway, response = exchange(ticket)
    assert response.status_code == 302
    assert "/accounts/login/" in response.headers["Location"]
    assert gateway.get(ASK).status_code == 403


def test_an_invented_cookie_opens_nothing(platform: Any) -> None:
    gateway = Client(headers={"host": HOST})
    gateway.cookies[COOKIE] = "A" * 43
    assert gateway.get(ASK).status_code == 403


def test_signing_out_of_the_portal_closes_the_gateway(person: Callable[..., Person]) -> None:
    client = person("pki-admin").client()
    gateway, _ = exchange(ticket_of(client))
    assert gateway.get(ASK).status_code == 200
    client.post("/accounts/logout/")
    assert gateway.get(ASK).status_code == 403


def test_losing_the_role_closes_the_gateway(person: Callable[..., Person]) -> None:
    fallen = person("pki-admin")
    gateway, _ = exchange(ticket_of(fallen.client()))
    fallen.user.groups.clear()
    assert gateway.get(ASK).status_code == 403


def test_a_changed_password_closes_the_gateway(person: Callable[..., Person]) -> None:
    wary = person("pki-admin")
    gateway, _ = exchange(ticket_of(wary.client()))
    wary.user.set_password("another long password")
    wary.user.save()
    assert gateway.get(ASK).status_code == 403
