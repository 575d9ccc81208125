"""Sign-in: password, second factor, the one-time password that must be changed, and redirects."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from PKaKey.server.tests.fronts.portal.conftest import HOST, PASSWORD, Person

SCREENS = (
    "/portal/",
    "/portal/certificates/",
    "/portal/certificates/new/",
    "/portal/certificates/export.csv",
    "/portal/authorities/",
    "/portal/profiles/",
    "/portal/tokens/",
    "/portal/audit/",
    "/portal/account/",
    "/portal/gateway/",
    "/accounts/2fa/",
    "/cms/",
)


def sign_in(person: Person, password: str = PASSWORD, after: str = "") -> tuple[Client, Any]:
    client = Client(headers={"host": HOST})
    form = {"login": person.username, "password": password}
    return client, client.post("/accounts/login/", form | ({"next": after} if after else {}))


def test_the_right_password_leads_to_the_dashboard(person: Callable[..., Person]) -> None:
    client, response = sign_in(person("pki-officer"))
    assert response.headers["Location"] == "/portal/"
    assert client.get("/portal/").status_code == 200


def test_a_wrong_password_is_refused_in_words(person: Callable[..., Person]) -> None:
    client, response = sign_in(person("pki-officer"), "wrong horse")
    assert response.status_code == 200
    assert "not correct" in response.text
    assert client.get("/portal/").status_code == 302


def test_who_was_made_inactive_cannot_sign_in(person: Callable[..., Person]) -> None:
    gone = person("pki-officer")
    gone.user.is_active = False
    gone.user.save()
    client, _ = sign_in(gone)
    assert client.get("/portal/").status_code == 302


def test_who_is_made_inactive_is_out_at_once(person: Callable[..., Person]) -> None:
    gone = person("pki-officer")
    client = gone.client()
    gone.user.is_active = False
    gone.user.save()
    assert client.get("/portal/").status_code == 302


@pytest.mark.parametrize("path", SCREENS)
def test_nobody_sees_a_screen_without_signing_in(anonymous: Client, path: str) -> None:
    response = anonymous.get(path)
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/accounts/login/?")


@pytest.mark.parametrize("path", SCREENS)
def test_until_a_one_time_password_is_changed_every_screen_leads_to_the_form(
    person: Callable[..., Person], path: str
) -> None:
    response = person("pki-admin", "content-editor", must_change=True).client().get(path)
    assert response.status_code == 302
    assert response.headers["Location"] == "/accounts/password/change/"


def test_nothing_can_be_posted_before_the_password_is_changed(
    person: Callable[..., Person], count: Callable[[], tuple[int, ...]]
) -> None:
    client, before = person("pki-admin", must_change=True).client(), count()
    form = {"name": "n", "scope": "certificates:read", "days": "1"}
    assert client.post("/portal/tokens/", form).status_code == 302
    assert count() == before


def test_who_must_change_the_password_may_sign_out(person: Callable[..., Person]) -> None:
    client = person("pki-admin", must_change=True).client()
    assert client.post("/accounts/logout/").headers["Location"] == "/"
    assert client.get("/portal/").headers["Location"].startswith("/accounts/login/")


def test_changing_the_one_time_password_opens_the_portal(person: Callable[..., Person]) -> None:
    client, _ = sign_in(person("pki-admin", must_change=True))
    form = {"oldpassword": PASSWORD, "password1": "a new and longer one", "password2": ""}
    assert "one-time password" in client.get("/accounts/password/change/").text
    assert client.post("/accounts/password/change/", form).status_code == 200
    assert client.get("/portal/").status_code == 302
    form["password2"] = form["password1"]
    assert client.post("/accounts/password/change/", form).headers["Location"] == "/portal/"
    assert client.get("/portal/").status_code == 200


@pytest.mark.parametrize("weak", ["short", "123456789012", "password1234", PASSWORD[:11]])
def test_a_weak_new_password_is_refused(person: Callable[..., Person], weak: str) -> None:
    client, _ = sign_in(person("pki-admin", must_change=True))
    form = {"oldpassword": PASSWORD, "password1": weak, "password2": weak}
    response = client.post("/accounts/password/change/", form)
    assert response.status_code == 200
    assert "errorlist" in response.text


def test_a_password_alone_does_not_pass_the_second_factor(person: Callable[..., Person]) -> None:
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    careful = person("pki-admin", "content-editor")
    TOTP.activate(careful.user, generate_totp_secret())
    client, response = sign_in(careful)
    assert response.headers["Location"] == "/accounts/2fa/authenticate/"
    assert "Two-Factor" in client.get("/accounts/2fa/authenticate/").text
    for path in ("/portal/", "/cms/", "/cms/login/", "/_util/login/"):
        assert client.get(path).headers["Location"].startswith("/accounts/login/"), path
    wrong = client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert wrong.status_code == 200
    assert client.get("/portal/").status_code == 302


def test_the_right_code_passes_the_second_factor(person: Callable[..., Person]) -> None:
    from allauth.mfa.totp.internal.auth import (
        TOTP,
        format_hotp_value,
        generate_totp_secret,
        hotp_value,
        yield_hotp_counters_from_time,
    )

    careful, secret = person("pki-admin"), generate_totp_secret()
    TOTP.activate(careful.user, secret)
    client, _ = sign_in(careful)
    code = format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))
    client.post("/accounts/2fa/authenticate/", {"code": code})
    assert client.get("/portal/").status_code == 200


@pytest.mark.parametrize(
    "evil",
    [
        "https://evil.test/",
        "//evil.test/",
        "/\\evil.test/",
        "javascript:alert(1)",
        "https:evil.test",
        " //evil.test",
    ],
)
def test_no_sign_in_leads_elsewhere(person: Callable[..., Person], evil: str) -> None:
    _, response = sign_in(person("pki-officer"), after=evil)
    assert response.headers["Location"] == "/portal/"


def test_a_sign_in_leads_back_to_where_one_wanted(person: Callable[..., Person]) -> None:
    _, response = sign_in(person("pki-officer"), after="/portal/audit/?target=x")
    assert response.headers["Location"] == "/portal/audit/?target=x"


@pytest.mark.parametrize("evil", ["https://evil.test/", "//evil.test/", "javascript:alert(1)"])
def test_changing_the_theme_leads_nowhere_else(anonymous: Client, evil: str) -> None:
    response = anonymous.post("/portal/theme/", {"theme": "dark", "next": evil})
    assert response.headers["Location"] == "/"
    assert response.cookies["theme"].value == "dark"


def test_an_unknown_theme_is_not_remembered(anonymous: Client) -> None:
    response = anonymous.post("/portal/theme/", {"theme": "neon", "next": "/help/"})
    assert response.headers["Location"] == "/help/"
    assert "theme" not in response.cookies


@pytest.mark.parametrize(
    "path",
    [
        "signup/",
        "email/",
        "password/reset/",
        "password/reset/done/",
        "password/set/",
        "login/code/",
    ],
)
def test_forms_that_nobody_stands_behind_are_not_there(anonymous: Client, path: str) -> None:
    assert anonymous.get(f"/accounts/{path}").status_code == 404


def test_a_look_at_the_sign_out_page_signs_nobody_out(person: Callable[..., Person]) -> None:
    client = person("pki-officer").client()
    assert "Sign out?" in client.get("/accounts/logout/").text
    assert client.get("/portal/").status_code == 200
