"""One platform for each module, people with roles on it, and their clients."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.test import Client

from PKaKey.server.tests.conftest import Platform, empty_database

PASSWORD = "correct horse battery staple"
HOST = "pkakey.theddt.localhost"


@pytest.fixture(scope="module")
def module_patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def platform(
    signer_process: Path,
    admin_dsn: str,
    django_db_blocker: Any,
    tmp_path_factory: pytest.TempPathFactory,
    module_patch: pytest.MonkeyPatch,
) -> Iterator[Platform]:
    """A platform after its first start, and a second namespace `guest` beside `default`."""
    from django.conf import settings
    from django.db import connections
    from pkakey.config import wiring
    from pkakey.services import Services
    from pkakey.services.namespace_walk import each_namespace
    from pkakey.services.outside import Outside
    from pkakey.services.principals import Principal
    from pkakey.store import direct
    from pkakey_signers.client import SignerClient

    # WhiteNoise warns about a missing folder.
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    folder = tmp_path_factory.mktemp("platform")
    now = datetime.now(tz=UTC).replace(microsecond=0)
    with SignerClient(signer_process / "signer.sock") as signer, django_db_blocker.unblock():
        services = Services(
            Outside(
                signer=signer,
                redis_url="redis://127.0.0.1:1/0",
                domain="theddt.localhost",
                http_port=8080,
                https_port=8443,
                gateway_tls_dir=folder / "tls",
                secrets_dir=folder / "secrets",
            )
        )
        module_patch.setattr(wiring, "services", lambda: services)
        made = services.bootstrap(now=now)
        guest_id = services.create_namespace(slug="guest", name="Guest", now=now)
        [home] = [one for one in each_namespace("tests") if one.namespace == "default"]
        admin = Principal(
            kind="user",
            id="7",
            name="ada",
            namespace_id=home.namespace_id,
            namespace="default",
            roles=frozenset({"pki-admin"}),
            request_id="0b6c1f6e-0000-4000-8000-000000000000",
        )
        yield Platform(
            services=services,
            now=now,
            namespace_id=home.namespace_id,
            root_id=made.root_id,
            issuing_id=made.issuing_id,
            admin=admin,
            guest=replace(admin, id="8", name="bob", namespace_id=guest_id, namespace="guest"),
        )
        direct.close()
        connections.close_all()
        empty_database(admin_dsn)


@dataclass
class Person:
    """Somebody with an account."""

    user: Any
    username: str

    def client(self, **options: Any) -> Client:
        """Return a browser in which they are signed in."""
        client = Client(headers={"host": HOST}, **options)
        client.force_login(self.user)
        return client


@pytest.fixture(scope="module")
def person(platform: Platform) -> Callable[..., Person]:
    """Return a new person with these roles, who has chosen a password of their own."""
    from django.contrib.auth import get_user_model

    made = iter(range(1000))

    def make(*roles: str, namespace: str = "default", must_change: bool = False) -> Person:
        username = f"person{next(made)}"
        platform.services.create_user(
            username=username,
            email=f"{username}@example.test",
            roles=list(roles),
            namespace=namespace,
            now=platform.now,
            password=PASSWORD,
        )
        user: Any = get_user_model().objects.get(username=username)
        user.must_change_password = must_change
        user.save()
        return Person(user, username)

    return make


@pytest.fixture(scope="module")
def client_of(person: Callable[..., Person]) -> Callable[..., Client]:
    """Return a signed-in browser of a new person with these roles."""
    return lambda *roles, **options: person(*roles, **options).client()


@pytest.fixture(scope="module")
def officer(client_of: Callable[..., Client]) -> Client:
    return client_of("pki-officer")


@pytest.fixture(scope="module")
def admin(client_of: Callable[..., Client]) -> Client:
    return client_of("pki-admin")


@pytest.fixture(scope="module")
def anonymous(platform: Platform) -> Client:
    """A browser in which nobody is signed in."""
    return Client(headers={"host": HOST})


@pytest.fixture
def count(platform: Platform, admin_dsn: str) -> Iterator[Callable[[], tuple[int, ...]]]:
    """Return how many certificates, intents, revocations and tokens there are, in all."""
    with psycopg.connect(admin_dsn, autocommit=True) as connection:

        def counted() -> tuple[int, ...]:
            [row] = connection.execute(
                "SELECT (SELECT count(*) FROM certificates_certificate),"
                " (SELECT count(*) FROM certificates_intent),"
                " (SELECT count(*) FROM certificates_certificate WHERE revoked_at IS NOT NULL),"
                " (SELECT count(*) FROM tokens_token)"
            ).fetchall()
            return tuple(row)

        yield counted
