"""Signing out: here and at Keycloak at once, and what Keycloak tells us from behind."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from theddt_identity.testing import Issuer

from PKaKey.server.tests.conftest import Platform
from PKaKey.server.tests.fronts.oidc.conftest import SignIn, browser
from PKaKey.server.tests.fronts.oidc.keycloak import CLIENT_ID, ISSUER, Keycloak
from PKaKey.server.tests.fronts.oidc.test_sign_in import is_signed_in

BACK_CHANNEL = "/internal/backchannel-logout"


def tell(token: str) -> Any:
    return browser().post(BACK_CHANNEL, {"logout_token": token})


def test_signing_out_ends_the_session_here_and_goes_on_to_keycloak(
    sign_in: SignIn, keycloak: Keycloak
) -> None:
    client = browser()
    id_token = keycloak.id_token()
    sign_in(client, id_token=id_token)
    answer = client.post("/accounts/logout/")
    where = urlsplit(answer.headers["Location"])
    query = parse_qs(where.query)
    assert f"{where.scheme}://{where.netloc}{where.path}" == (
        f"{ISSUER}/protocol/openid-connect/logout"
    )
    assert query == {
        "client_id": [CLIENT_ID],
        "id_token_hint": [id_token],
        "post_logout_redirect_uri": ["https://pkakey.theddt.localhost:8443/"],
    }
    assert not is_signed_in(client)


def test_no_way_on_stops_short_of_keycloak(sign_in: SignIn) -> None:
    client = browser()
    sign_in(client)
    answer = client.post("/accounts/logout/", {"next": "https://evil.example/"})
    assert answer.headers["Location"].startswith(f"{ISSUER}/protocol/openid-connect/logout?")


def test_a_link_signs_nobody_out(sign_in: SignIn) -> None:
    client = browser()
    sign_in(client)
    assert client.get("/accounts/logout/").status_code == 200
    assert is_signed_in(client)


def test_the_sign_out_form_may_lead_to_keycloak(sign_in: SignIn) -> None:
    client = browser()
    sign_in(client)
    policy = client.get("/accounts/logout/").headers["Content-Security-Policy"]
    assert "form-action 'self' https://keycloak.theddt.localhost:8443" in policy


def test_the_session_ends_by_itself_within_an_hour(sign_in: SignIn) -> None:
    client = browser()
    sign_in(client)
    ends = client.session.get_expiry_date()
    assert ends <= datetime.now(tz=UTC) + timedelta(hours=1)


def test_keycloaks_word_ends_that_sign_in_everywhere_and_no_other(
    sign_in: SignIn, keycloak: Keycloak
) -> None:
    here, there, other = browser(), browser(), browser()
    sign_in(here)
    sign_in(there)
    sign_in(other, "s-bob")
    assert tell(keycloak.logout_token(sid="session-of-s-ada")).status_code == 200
    assert not is_signed_in(here)
    assert not is_signed_in(there)
    assert is_signed_in(other)


def test_keycloaks_word_about_one_session_leaves_the_persons_others(
    sign_in: SignIn, keycloak: Keycloak
) -> None:
    phone, desk = browser(), browser()
    sign_in(phone, sid="phone")
    sign_in(desk, sid="desk")
    assert tell(keycloak.logout_token(sid="phone")).status_code == 200
    assert not is_signed_in(phone)
    assert is_signed_in(desk)


def test_keycloaks_word_about_a_person_ends_all_their_sessions(
    sign_in: SignIn, keycloak: Keycloak
) -> None:
    phone, desk = browser(), browser()
    sign_in(phone, sid="phone")
    sign_in(desk, sid="desk")
    assert tell(keycloak.logout_token(sid=None)).status_code == 200
    assert not is_signed_in(phone)
    assert not is_signed_in(desk)


def _no_good(realm: Keycloak) -> dict[str, str]:
    past = datetime.now(tz=UTC) - timedelta(hours=1)
    claims = realm.claims(audience=CLIENT_ID, typ="Logout", events={})
    return {
        "signed by another key": Issuer(ISSUER).sign(claims, header={"typ": "logout+jwt"}),
        "of another issuer": realm.logout_token(iss="https://evil.example"),
        "for another client": realm.logout_token(audience="koolflows"),
        "expired": realm.logout_token(exp=int(past.timestamp())),
        "without its event": realm.logout_token(events={}),
        "with another event": realm.logout_token(events={"http://evil.example": {}}),
        "with a nonce": realm.logout_token(nonce="n"),
        "about nobody": realm.logout_token(None, sid=None),
        "an ID token": realm.id_token(),
        "an access token": realm.token(),
        "no JWT": "x",
        "empty": "",
        "too long": "a" * 20_000,
    }


NO_GOOD = [
    "signed by another key", "of another issuer", "for another client", "expired",
    "without its event", "with another event", "with a nonce", "about nobody", "an ID token",
    "an access token", "no JWT", "empty", "too long",
]  # fmt: skip


@pytest.mark.parametrize("kind", NO_GOOD)
def test_a_logout_token_that_is_no_good_ends_nothing(
    sign_in: SignIn, keycloak: Keycloak, kind: str
) -> None:
    client = browser()
    sign_in(client)
    answer = tell(_no_good(keycloak)[kind])
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert "no-store" in answer.headers["Cache-Control"]
    assert is_signed_in(client)


def test_a_logout_token_is_good_once(sign_in: SignIn, keycloak: Keycloak) -> None:
    token = keycloak.logout_token()
    assert tell(token).status_code == 200
    client = browser()
    sign_in(client)
    assert tell(token).status_code == 400
    assert is_signed_in(client)


def test_while_the_keys_are_away_keycloak_is_asked_to_tell_again(
    relying: Platform, keycloak: Keycloak
) -> None:
    keycloak.fails.add("certs")
    answer = tell(keycloak.logout_token())
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_only_a_post_tells_of_a_sign_out(relying: Platform) -> None:
    assert browser().get(BACK_CHANNEL).status_code == 405


def test_natively_nobody_tells_of_a_sign_out(platform: Platform) -> None:
    assert browser().post(BACK_CHANNEL, {"logout_token": "x"}, follow=True).status_code == 404
