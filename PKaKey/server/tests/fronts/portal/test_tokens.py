"""API tokens in the portal: shown once, never wider than their maker, revoked at once."""

import re
from collections.abc import Callable

import pytest
from django.test import Client

TOKENS = "/portal/tokens/"
GOOD = {"name": "build machine", "scope": ["certificates:read"], "days": "30"}


def test_a_new_token_is_shown_once(client_of: Callable[..., Client]) -> None:
    officer = client_of("pki-officer")
    [token] = re.findall(r"ddt_[\w-]{43}", officer.post(TOKENS, GOOD).text)
    assert token not in officer.get(TOKENS).text
    assert "build machine" in officer.get(TOKENS).text


@pytest.mark.parametrize("days", ["", "0", "366", "-1", "1.5", "x", "9" * 30, "\u0661"])
def test_days_that_may_not_be_are_refused_in_words(
    officer: Client, days: str, count: Callable[[], tuple[int, ...]]
) -> None:
    before = count()
    response = officer.post(TOKENS, GOOD | {"days": days})
    assert response.status_code == 400
    assert "token.expiry" in response.text
    assert count() == before


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "x" * 300},
        {"scope": []},
        {"scope": ["nope"]},
        {"scope": ["authorities:manage"]},
        {"scope": ["certificates:read", "dashboard:gateway"]},
    ],
)
def test_a_bad_name_or_a_right_that_one_has_not_is_refused(
    officer: Client, change: dict[str, object], count: Callable[[], tuple[int, ...]]
) -> None:
    before = count()
    response = officer.post(TOKENS, GOOD | change)
    assert response.status_code in {400, 403}
    assert count() == before


def test_a_revoked_token_is_marked(client_of: Callable[..., Client]) -> None:
    officer = client_of("pki-officer")
    officer.post(TOKENS, GOOD | {"name": "short-lived"})
    [path] = re.findall(
        r'action="(/portal/tokens/[0-9a-f-]+/revoke/)"[^\n]*Revoke the token short-lived',
        officer.get(TOKENS).text,
    )
    assert "The token is revoked" in officer.post(path, follow=True).text
    assert path not in officer.get(TOKENS).text


def test_a_token_of_another_namespace_is_not_there(
    officer: Client, client_of: Callable[..., Client]
) -> None:
    guest = client_of("pki-officer", namespace="guest")
    guest.post(TOKENS, GOOD | {"name": "theirs"})
    [path] = re.findall(r'action="(/portal/tokens/[0-9a-f-]+/revoke/)"', guest.get(TOKENS).text)
    assert officer.post(path).status_code == 404
    assert path in guest.get(TOKENS).text
