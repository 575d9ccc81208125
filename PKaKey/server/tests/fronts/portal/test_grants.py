"""Grants in the portal: the namespace's own, each with its state, for who may read certificates."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

GRANTS = "/portal/grants/"


@pytest.fixture(scope="module")
def grants(platform: Any) -> None:
    """One active grant, one past its date and one withdrawn, in `default`."""
    from pkakey.services.closing import Allowed
    from pkakey.services.grants import Asked, grant, withdraw

    now = datetime.now(tz=UTC)
    for name, made in (
        ("active", now),
        ("past", now - timedelta(days=60)),
        ("withdrawn", now),
    ):
        allowed = Allowed(
            id=uuid4(), diagram="namespace-grant", version=1, sha256="e" * 64,
            namespace="default", path=["GrantDecided"], deciders=[{"name": "otto"}],
        )  # fmt: skip
        asked = Asked("default", f"*.{name}.internal", "tls-client", made + timedelta(days=30))
        answer = grant(principal=platform.admin, allowed=allowed, asked=asked, now=made)
        if name == "withdrawn":
            withdraw(principal=platform.admin, grant_id=answer["grant"], now=now)


@pytest.mark.usefixtures("grants")
@pytest.mark.parametrize(
    ("name", "state"), [("active", "active"), ("past", "expired"), ("withdrawn", "withdrawn")]
)
def test_each_grant_shows_its_state(officer: Client, name: str, state: str) -> None:
    [row] = [r for r in officer.get(GRANTS).text.split("<tr>") if f"*.{name}.internal" in r]
    assert f">{state}</span>" in row


@pytest.mark.usefixtures("grants")
def test_another_namespace_sees_none_of_them(client_of: Callable[..., Client]) -> None:
    text = client_of("pki-officer", namespace="guest").get(GRANTS).text
    assert "No grants" in text
    assert ".internal" not in text


def test_who_may_not_read_certificates_is_refused(client_of: Callable[..., Client]) -> None:
    assert client_of().get(GRANTS).status_code == 403


def test_nobody_is_sent_to_the_sign_in_page(anonymous: Client) -> None:
    assert anonymous.get(GRANTS).status_code == 302


def test_the_list_changes_nothing(officer: Client) -> None:
    assert officer.post(GRANTS).status_code == 405
