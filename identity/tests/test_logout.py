"""Logout tokens by OpenID Connect Back-Channel Logout 1.0, section 2.6."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from theddt_identity import TokenRefused, Verifier, verify_logout_token
from theddt_identity.logout import EVENT, MAX_AGE
from theddt_identity.testing import Issuer

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def verifier(issuer: Issuer) -> Verifier:
    return Verifier(audience="pkakey", issuers=[issuer.trusted])


def logout(issuer: Issuer, typ: str = "logout+jwt", **more: Any) -> str:
    claims = {"events": {EVENT: {}}, "typ": "Logout", "roles": None, "scope": None} | more
    return issuer.sign(issuer.claims(now=NOW, audience="pkakey", **claims), header={"typ": typ})


def refusal(verifier: Verifier, token: str, now: datetime = NOW) -> str:
    with pytest.raises(TokenRefused) as caught:
        verify_logout_token(verifier, token, now=now)
    return caught.value.code


@pytest.mark.parametrize("typ", ["logout+jwt", "JWT"])
def test_it_says_whose_session_ended(issuer: Issuer, verifier: Verifier, typ: str) -> None:
    said = verify_logout_token(verifier, logout(issuer, typ), now=NOW)
    assert (said.subject, said.session_id, said.token_id) == ("4b1c7d0e", "5e55", "1f0e")
    assert said.remember_until > NOW + MAX_AGE


def test_subject_or_session_is_enough(issuer: Issuer, verifier: Verifier) -> None:
    assert verify_logout_token(verifier, logout(issuer, sub=None), now=NOW).session_id
    assert verify_logout_token(verifier, logout(issuer, sid=None), now=NOW).subject
    assert refusal(verifier, logout(issuer, sub=None, sid=None)) == "jwt.claims"


@pytest.mark.parametrize(
    "more",
    [
        {"events": None},
        {"events": {}},
        {"events": [EVENT]},
        {"events": {EVENT: None}},
        {"events": {"http://schemas.openid.net/event/other": {}}},
        {"nonce": "n"},
    ],
)
def test_what_is_no_logout_token_is_refused(
    issuer: Issuer, verifier: Verifier, more: dict[str, Any]
) -> None:
    assert refusal(verifier, logout(issuer, **more)) == "jwt.type"


def test_an_access_token_logs_nobody_out(issuer: Issuer, verifier: Verifier) -> None:
    assert refusal(verifier, issuer.token(now=NOW, audience="pkakey")) == "jwt.type"


def test_a_logout_token_lets_nobody_in(issuer: Issuer, verifier: Verifier) -> None:
    for token in (logout(issuer), logout(issuer, "JWT")):
        with pytest.raises(TokenRefused, match="no access token"):
            verifier.caller(token, now=NOW)


@pytest.mark.parametrize("jti", [None, "", 5, "x" * 300])
def test_a_token_without_its_name_could_be_replayed(
    issuer: Issuer, verifier: Verifier, jti: Any
) -> None:
    assert refusal(verifier, logout(issuer, jti=jti)) == "jwt.claims"


def test_an_old_token_is_refused_though_it_has_not_expired(
    issuer: Issuer, verifier: Verifier
) -> None:
    token = logout(issuer, exp=int((NOW + timedelta(days=1)).timestamp()))
    assert refusal(verifier, token, NOW + timedelta(hours=1)) == "jwt.expired"


def test_another_clients_token_is_refused(issuer: Issuer, verifier: Verifier) -> None:
    assert refusal(verifier, logout(issuer, aud="koolflows")) == "jwt.audience"


def test_a_forged_token_is_refused(verifier: Verifier) -> None:
    assert refusal(verifier, logout(Issuer())) == "jwt.signature"
