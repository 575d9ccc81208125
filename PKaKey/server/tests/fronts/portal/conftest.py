"""One platform for each module, people with roles on it, and their clients."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from django.test import Client

from PKaKey.server.tests.conftest import Platform

PASSWORD = "correct horse battery staple"
HOST = "pkakey.theddt.localhost"


@pytest.fixture(scope="module")
def platform(shared_platform: Platform) -> Platform:
    """A platform after its first start, and a second namespace `guest` beside `default`."""
    return shared_platform


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
