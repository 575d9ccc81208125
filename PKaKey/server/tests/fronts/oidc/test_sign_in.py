"""Signing in at Keycloak: who is let in as what, and everything that is refused."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from theddt_identity.testing import Issuer

from PKaKey.server.tests.conftest import Platform
from PKaKey.server.tests.fronts.oidc.conftest import SignIn, browser
from PKaKey.server.tests.fronts.oidc.keycloak import CALLBACK, CLIENT_ID, ISSUER, Keycloak

PORTAL = "/portal/"
STEADY = timedelta(minutes=10)


def is_signed_in(client: Any) -> bool:
    return bool(client.get(PORTAL).status_code == 200)


def test_the_browser_is_sent_to_the_public_address_with_pkce(relying: Platform) -> None:
    answer = browser().get("/accounts/login/")
    where = urlsplit(answer.headers["Location"])
    query = parse_qs(where.query)
    assert (
        f"{where.scheme}://{where.netloc}{where.path}" == f"{ISSUER}/protocol/openid-connect/auth"
    )
    assert query["client_id"] == [CLIENT_ID]
    assert query["response_type"] == ["code"]
    assert set(query["scope"][0].split()) == {"openid", "email", "profile"}
    assert query["code_challenge_method"] == ["S256"]
    assert query["state"][0]
    assert query["redirect_uri"] == [f"https://pkakey.theddt.localhost{CALLBACK}"]


def test_the_query_of_the_sign_in_changes_nothing_that_is_asked_for(relying: Platform) -> None:
    asked = "/accounts/login/?scope=admin&auth_params=prompt%3Dnone&process=connect&client_id=x"
    query = parse_qs(urlsplit(browser().get(asked).headers["Location"]).query)
    assert set(query["scope"][0].split()) == {"openid", "email", "profile"}
    assert query["client_id"] == [CLIENT_ID]
    assert "prompt" not in query


def test_who_signs_in_is_made_with_the_tokens_roles_and_namespace(
    sign_in: SignIn, people: Callable[[], Any]
) -> None:
    client = browser()
    answer = sign_in(client, "s-nova", roles=["pki-officer", "db-admin", "unheard-of"])
    assert (answer.status_code, answer.headers["Location"]) == (302, PORTAL)
    assert people()["nova"] == (True, ["db-admin", "pki-officer"], ["default"])
    assert is_signed_in(client)


def test_the_next_sign_in_takes_away_what_the_token_no_longer_gives(
    sign_in: SignIn, people: Callable[[], Any], relying: Platform, admin_dsn: str
) -> None:
    sign_in(browser(), "s-mira", roles=["pki-admin"])
    client = browser()
    sign_in(client, "s-mira", roles=["pki-requester"])
    assert people()["mira"] == (True, ["pki-requester"], ["default"])
    assert client.get("/portal/audit/").status_code == 403


def test_who_moves_to_another_namespace_leaves_the_old_one(
    sign_in: SignIn, people: Callable[[], Any]
) -> None:
    sign_in(browser(), "s-moving")
    sign_in(browser(), "s-moving", namespace="guest")
    assert people()["moving"][2] == ["guest"]


@pytest.mark.parametrize("namespace", [None, "nowhere"])
def test_without_a_namespace_of_this_platform_nobody_is_made_or_signed_in(
    sign_in: SignIn, people: Callable[[], Any], namespace: str | None
) -> None:
    before = people()
    client = browser()
    answer = sign_in(client, "s-lost", namespace=namespace)
    assert answer.status_code == 403
    assert b"have no place here yet" in answer.content
    assert people() == before
    assert not is_signed_in(client)


def test_a_name_given_to_a_new_subject_opens_nothing_of_the_old_one(
    sign_in: SignIn, people: Callable[[], Any]
) -> None:
    old = browser()
    sign_in(old, "s-old", preferred_username="same", roles=["pki-admin"])
    sign_in(browser(), "s-new", preferred_username="same", roles=["pki-requester"])
    found = people()
    assert found["same"] == (True, ["pki-requester"], ["default"])
    assert [state[1] for name, state in found.items() if name.startswith("same~")] == [
        ["pki-admin"]
    ]
    assert not is_signed_in(old)


def test_who_is_renamed_at_keycloak_is_renamed_here(
    sign_in: SignIn, people: Callable[[], Any]
) -> None:
    sign_in(browser(), "s-first", preferred_username="maiden")
    sign_in(browser(), "s-second", preferred_username="maiden")
    client = browser()
    sign_in(client, "s-first", preferred_username="married", roles=["pki-auditor"])
    found = people()
    assert found["married"] == (True, ["pki-auditor"], ["default"])
    assert not [name for name in found if name.startswith("maiden~")]
    assert is_signed_in(client)


def test_who_takes_a_name_that_another_has_here_gets_it(
    sign_in: SignIn, people: Callable[[], Any]
) -> None:
    sign_in(browser(), "s-one", preferred_username="one")
    two = browser()
    sign_in(two, "s-two", preferred_username="two", roles=["pki-admin"])
    sign_in(browser(), "s-one", preferred_username="two", roles=["pki-requester"])
    found = people()
    assert found["two"] == (True, ["pki-requester"], ["default"])
    assert "one" not in found
    assert not is_signed_in(two)


def test_an_account_made_here_before_is_kept_without_its_password(
    relying: Platform, sign_in: SignIn, people: Callable[[], Any]
) -> None:
    from django.contrib.auth import get_user_model

    relying.services.create_user(
        username="early", email="e@example.test", roles=["pki-admin"], namespace="default",
        now=relying.now,
    )  # fmt: skip
    sign_in(browser(), "s-early", preferred_username="early", roles=["pki-auditor"])
    assert people()["early"] == (True, ["pki-auditor"], ["default"])
    assert not get_user_model().objects.get(username="early").has_usable_password()


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example/", "/\\evil.example"])
def test_the_way_back_never_leads_to_another_host(sign_in: SignIn, wanted: str) -> None:
    answer = sign_in(browser(), "s-back", next=wanted)
    assert answer.headers["Location"] == PORTAL


def _bad_access(realm: Keycloak) -> dict[str, str]:
    now = datetime.now(tz=UTC)
    past = {"iat": int((now - 2 * STEADY).timestamp()), "exp": int((now - STEADY).timestamp())}
    stranger = Issuer(ISSUER)
    return {
        "signed by another key": stranger.sign(realm.claims()),
        "of another issuer": realm.token(iss="https://evil.example/realms/theddt"),
        "for another service": realm.token(audience="koolflows"),
        "expired": realm.token(**past),
        "from the future": realm.token(iat=int((now + STEADY).timestamp())),
        "given to another client": realm.token(azp="evil"),
        "an ID token": realm.id_token(),
        "a refresh token": realm.token(typ="Refresh"),
        "roles that are no list": realm.token(roles="pki-admin"),
        "no JWT": "opaque",
    }


BAD_ACCESS = [
    "signed by another key", "of another issuer", "for another service", "expired",
    "from the future", "given to another client", "an ID token", "a refresh token",
    "roles that are no list", "no JWT",
]  # fmt: skip


@pytest.mark.parametrize("kind", BAD_ACCESS)
def test_a_bad_access_token_signs_nobody_in(
    sign_in: SignIn, keycloak: Keycloak, people: Callable[[], Any], kind: str
) -> None:
    before = people()
    client = browser()
    answer = sign_in(client, access_token=_bad_access(keycloak)[kind])
    assert b"could not be finished" in answer.content
    assert people() == before
    assert not is_signed_in(client)


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "s-somebody-else"},
        {"audience": "other"},
        {"iss": "https://evil.example"},
        {"exp": 1},
    ],
    ids=str,
)
def test_an_id_token_that_does_not_fit_signs_nobody_in(
    sign_in: SignIn, keycloak: Keycloak, people: Callable[[], Any], change: dict[str, Any]
) -> None:
    before = people()
    client = browser()
    answer = sign_in(client, id_token=keycloak.id_token(**change))
    assert b"could not be finished" in answer.content
    assert people() == before
    assert not is_signed_in(client)


def test_without_an_id_token_nobody_is_signed_in(sign_in: SignIn) -> None:
    client = browser()
    assert b"could not be finished" in sign_in(client, id_token=None).content
    assert not is_signed_in(client)


@pytest.mark.parametrize("part", ["token", "certs"])
def test_while_keycloak_is_away_the_sign_in_says_so(
    sign_in: SignIn, keycloak: Keycloak, part: str
) -> None:
    keycloak.fails.add(part)
    client = browser()
    assert b"could not be finished" in sign_in(client).content
    assert not is_signed_in(client)


def test_a_callback_that_nobody_asked_for_signs_nobody_in(
    sign_in: SignIn, keycloak: Keycloak
) -> None:
    asked = browser().get("/accounts/login/").headers["Location"]
    path = keycloak.sign_in(asked, access_token=keycloak.token(), id_token=keycloak.id_token())
    # Another browser than the one that asked: the way of a login CSRF.
    victim = browser()
    assert b"could not be finished" in victim.get(path).content
    assert not is_signed_in(victim)


@pytest.mark.parametrize(
    "query", ["", "?error=access_denied", "?code=x", "?state=x", "?code=&state="]
)
def test_a_callback_without_code_or_state_signs_nobody_in(relying: Platform, query: str) -> None:
    client = browser()
    answer = client.get(f"{CALLBACK}{query}")
    assert answer.status_code < 500
    assert not is_signed_in(client)


def test_a_code_is_good_once(sign_in: SignIn, keycloak: Keycloak) -> None:
    client = browser()
    asked = client.get("/accounts/login/").headers["Location"]
    path = keycloak.sign_in(asked, access_token=keycloak.token(), id_token=keycloak.id_token())
    assert client.get(path).status_code == 302
    again = browser()
    assert b"could not be finished" in again.get(path).content
    assert not is_signed_in(again)


@pytest.mark.parametrize(
    "path",
    [
        "signup/", "password/change/", "password/set/", "password/reset/", "2fa/", "email/",
        "2fa/totp/activate/", "reauthenticate/", "3rdparty/", "login/code/", "social/signup/",
    ],
)  # fmt: skip
def test_no_form_about_passwords_or_second_factors_is_ours_there(
    relying: Platform, path: str
) -> None:
    for method in ("get", "post"):
        assert getattr(browser(), method)(f"/accounts/{path}").status_code == 404


def test_no_password_signs_anybody_in(relying: Platform) -> None:
    client = browser()
    answer = client.post("/accounts/login/", {"login": "admin", "password": "x"})
    assert answer.status_code == 405
    assert not is_signed_in(client)


def test_our_own_provider_is_not_there(relying: Platform) -> None:
    for path in ("authorize", "api/token", "logout", "api/userinfo", "api/revoke"):
        assert browser().get(f"/identity/o/{path}", follow=True).status_code == 404


def test_our_own_keys_are_published_beside_keycloaks(relying: Platform) -> None:
    document = browser().get("/.well-known/openid-configuration").json()
    assert document == {
        "issuer": "https://pkakey.theddt.localhost:8443",
        "jwks_uri": "https://pkakey.theddt.localhost:8443/.well-known/jwks.json",
    }
    [key] = browser().get("/.well-known/jwks.json").json()["keys"]
    assert key.keys() == {"kty", "n", "e", "kid", "use", "alg"}
