"""Who may see and do what: roles, namespaces, forged forms."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from PKaKey.server.tests.conftest import Platform, csr
from PKaKey.server.tests.fronts.portal.conftest import Person

READS = (
    "/portal/",
    "/portal/certificates/",
    "/portal/certificates/export.csv",
    "/portal/authorities/",
    "/portal/profiles/",
    "/portal/profiles/tls-server/",
)
ROLES = ("pki-admin", "pki-officer", "pki-auditor", "pki-requester", "db-admin", "content-editor")
MAY = {
    **{path: {"pki-admin", "pki-officer", "pki-auditor", "pki-requester"} for path in READS},
    "/portal/certificates/new/": {"pki-admin", "pki-officer", "pki-requester"},
    "/portal/tokens/": {"pki-admin", "pki-officer", "pki-requester"},
    "/portal/audit/": {"pki-admin", "pki-officer", "pki-auditor"},
    "/portal/gateway/": {"pki-admin"},
    "/portal/account/": set(ROLES),
}


@pytest.fixture(scope="module")
def clients(client_of: Callable[..., Client]) -> dict[str, Client]:
    return {role: client_of(role) for role in ROLES}


@pytest.fixture(scope="module")
def issued(platform: Platform) -> Any:
    return platform.issue("own.example.test")


@pytest.fixture(scope="module")
def foreign(platform: Platform) -> Any:
    return platform.issue("foreign.example.test", principal=platform.guest)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("path", MAY)
def test_a_role_sees_its_screens_and_no_other(
    clients: dict[str, Client], role: str, path: str
) -> None:
    response = clients[role].get(path)
    assert response.status_code == (200 if role in MAY[path] else 403)


@pytest.mark.parametrize("path", MAY)
def test_who_has_no_role_sees_only_the_account(client_of: Callable[..., Client], path: str) -> None:
    assert client_of().get(path).status_code == (200 if path == "/portal/account/" else 403)


def test_who_belongs_to_no_namespace_is_told_so(
    person: Callable[..., Person], admin_dsn: str
) -> None:
    import psycopg

    lost = person("pki-admin")
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute("DELETE FROM namespaces_membership WHERE user_id = %s", [lost.user.pk])
    client = lost.client()
    assert client.get("/portal/").status_code == 403
    assert "You belong to none" in client.get("/portal/account/").text


def test_a_refusal_names_the_permission(clients: dict[str, Client]) -> None:
    text = clients["pki-auditor"].get("/portal/certificates/new/").text
    assert "certificates:issue" in text
    assert "Ask an administrator" in text


@pytest.mark.parametrize("role", ["pki-auditor", "pki-requester", "db-admin", "content-editor"])
def test_who_may_not_revoke_cannot_even_by_hand(
    clients: dict[str, Client], issued: Any, role: str, count: Callable[[], tuple[int, ...]]
) -> None:
    before = count()
    path = f"/portal/certificates/{issued.serial_number}/revoke/"
    assert clients[role].post(path, {"reason": "superseded"}).status_code == 403
    assert count() == before


@pytest.mark.parametrize("role", ["pki-auditor", "db-admin", "content-editor"])
@pytest.mark.parametrize("path", ["new/", "preview/"])
def test_who_may_not_issue_cannot_even_by_hand(
    clients: dict[str, Client], role: str, path: str, count: Callable[[], tuple[int, ...]]
) -> None:
    before = count()
    form = {"csr": csr("x.example.test").decode(), "profile": "tls-server", "act": "issue"}
    assert clients[role].post(f"/portal/certificates/{path}", form).status_code == 403
    assert count() == before


def test_buttons_that_one_may_not_press_are_not_shown(
    clients: dict[str, Client], issued: Any
) -> None:
    page = f"/portal/certificates/{issued.serial_number}/"
    assert "Revoke" not in clients["pki-requester"].get(page).text
    assert "Revoke" in clients["pki-officer"].get(page).text
    assert "New certificate" not in clients["pki-auditor"].get("/portal/").text


@pytest.mark.parametrize("rest", ["", "revoke/", "pem", "der", "chain", "pkcs7"])
def test_a_certificate_of_another_namespace_is_not_there(
    admin: Client, foreign: Any, rest: str
) -> None:
    assert admin.get(f"/portal/certificates/{foreign.serial_number}/{rest}").status_code == 404


def test_a_certificate_of_another_namespace_cannot_be_revoked(
    admin: Client, foreign: Any, count: Callable[[], tuple[int, ...]]
) -> None:
    before = count()
    path = f"/portal/certificates/{foreign.serial_number}/revoke/"
    assert admin.post(path, {"reason": "superseded"}).status_code == 404
    assert count() == before


def test_lists_and_exports_show_one_namespace_only(
    admin: Client, foreign: Any, issued: Any
) -> None:
    for path in ("/portal/certificates/?search=foreign", "/portal/certificates/export.csv"):
        response = admin.get(path)
        text = b"".join(response).decode() if response.streaming else response.text
        assert foreign.serial_number not in text, path
    assert foreign.serial_number not in admin.get("/portal/audit/").text


def test_a_session_cannot_name_a_namespace_of_others(
    platform: Platform, person: Callable[..., Person]
) -> None:
    client = person("pki-admin").client()
    form = {"namespace": str(platform.guest.namespace_id)}
    assert client.post("/portal/namespace/", form).status_code == 403
    session = client.session
    session["namespace_id"] = str(platform.guest.namespace_id)
    session.save()
    assert "In default" in client.get("/portal/").text


@pytest.mark.parametrize(
    "path", ["/portal/certificates/new/", "/portal/tokens/", "/portal/theme/", "/accounts/login/"]
)
def test_a_forged_form_is_refused_on_our_own_page(person: Callable[..., Person], path: str) -> None:
    client = person("pki-admin").client(enforce_csrf_checks=True)
    response = client.post(path, {"theme": "dark"})
    assert response.status_code == 403
    assert "Nothing was changed" in response.text


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_are_not_allowed(admin: Client, method: str) -> None:
    for path in ("/portal/certificates/", "/portal/tokens/", "/portal/audit/"):
        assert getattr(admin, method)(path).status_code == 405
