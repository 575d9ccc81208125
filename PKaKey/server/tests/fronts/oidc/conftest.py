"""A platform whose people sign in at Keycloak, and browsers that go there and come back."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from django.test import Client

from PKaKey.server.tests.conftest import Platform
from PKaKey.server.tests.fronts.oidc import keycloak as provider
from PKaKey.server.tests.fronts.oidc.keycloak import Keycloak

HOST = "pkakey.theddt.localhost"


@pytest.fixture(scope="module")
def platform(shared_platform: Platform) -> Platform:
    """A platform after its first start, and a second namespace `guest` beside `default`."""
    return shared_platform


@pytest.fixture
def keycloak() -> Iterator[Keycloak]:
    """A realm of this test."""
    with provider.running() as realm:
        yield realm


@pytest.fixture
def relying(
    platform: Platform, keycloak: Keycloak, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Platform:
    """The same platform with Keycloak as its provider."""
    from pkakey.config import wiring
    from pkakey.config.relying import relying_settings
    from pkakey.services import Services, callers
    from pkakey.services.outside import SignInProvider

    sign_in = SignInProvider(
        issuer=provider.ISSUER,
        internal_url=keycloak.url,
        client_id=provider.CLIENT_ID,
        audience="pkakey",
    )
    # A realm before this one may have had its port: what is remembered of its keys is not ours.
    callers._verifier.cache_clear()
    services = Services(replace(platform.services.outside, sign_in=sign_in))
    monkeypatch.setattr(wiring, "services", lambda: services)
    overrides = relying_settings(
        issuer=provider.ISSUER,
        client_id=provider.CLIENT_ID,
        client_secret=provider.CLIENT_SECRET,
    )
    for name, value in overrides.items():
        setattr(settings, name, value)
    return replace(platform, services=services)


def browser() -> Client:
    """Return a browser in which nobody is signed in."""
    headers = {"host": HOST, "x-forwarded-proto": "https"}
    return Client(headers=headers, raise_request_exception=False)


SignIn = Callable[..., Any]


@pytest.fixture
def sign_in(relying: Platform, keycloak: Keycloak) -> SignIn:
    """Go to Keycloak as a subject and come back; return the callback's answer."""

    def go(client: Client, subject: str = "s-ada", **options: Any) -> Any:
        asked = client.get("/accounts/login/", {"next": options.pop("next", "/portal/")})
        assert asked.status_code == 302, asked.content
        access_token = options.pop("access_token", None)
        id_token = options.pop("id_token", keycloak.id_token(subject))
        path = keycloak.sign_in(
            asked.headers["Location"],
            access_token=access_token or keycloak.token(subject, **options),
            id_token=id_token,
        )
        return client.get(path)

    return go


@pytest.fixture
def people(relying: Platform, admin_dsn: str) -> Iterator[Callable[[], dict[str, Any]]]:
    """Return everybody: the username, whether active, the roles and the namespaces."""
    with psycopg.connect(admin_dsn, autocommit=True) as connection:

        def look() -> dict[str, Any]:
            found = connection.execute(
                "SELECT u.username, u.is_active,"
                " ARRAY(SELECT g.name FROM accounts_user_groups m JOIN auth_group g"
                "  ON g.id = m.group_id WHERE m.user_id = u.id ORDER BY 1),"
                " ARRAY(SELECT n.slug FROM namespaces_membership m JOIN namespaces_namespace n"
                "  ON n.id = m.namespace_id WHERE m.user_id = u.id ORDER BY 1)"
                " FROM accounts_user u"
            ).fetchall()
            return {name: tuple(rest) for name, *rest in found}

        yield look
