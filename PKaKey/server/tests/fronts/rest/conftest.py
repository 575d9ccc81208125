"""REST clients with different rights on one platform for each module, and a count of its rows.

A first start costs more than most of these tests, and they only add to it; so it is shared.
"""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from PKaKey.server.tests.conftest import Platform
from PKaKey.server.tests.fronts.rest.rest_client import RESTClient

READS = ("certificates:read", "authorities:read", "profiles:read")
ALL = (*READS, "certificates:issue", "certificates:revoke", "tokens:manage")


@pytest.fixture(scope="module")
def platform(shared_platform: Platform) -> Platform:
    """A platform after its first start, and a second namespace `guest` beside `default`."""
    return shared_platform


@pytest.fixture(scope="module")
def client_with(platform: Platform) -> Callable[..., RESTClient]:
    """Return a client with a new token of these scopes."""
    return lambda *scopes, **options: RESTClient(platform.token(*scopes, **options).token)


@pytest.fixture(scope="module")
def officer(client_with: Callable[..., RESTClient]) -> RESTClient:
    """A client that may read, issue and revoke, and manage tokens."""
    return client_with(*ALL)


@pytest.fixture(scope="module")
def reader(client_with: Callable[..., RESTClient]) -> RESTClient:
    """A client that may only read."""
    return client_with(*READS)


@pytest.fixture
def anonymous(platform: Platform) -> RESTClient:
    """A client without a token, on a platform that has something to hide."""
    return RESTClient()


@pytest.fixture(scope="module")
def guest(platform: Platform, client_with: Callable[..., RESTClient]) -> RESTClient:
    """A client with every right, in another namespace."""
    return client_with(*ALL, principal=platform.guest)


@pytest.fixture
def count(platform: Platform, admin_dsn: str) -> Iterator[Callable[[], int]]:
    """Return how many certificates and open intents there are, whoever they belong to."""
    with psycopg.connect(admin_dsn, autocommit=True) as connection:

        def counted() -> int:
            [(number,)] = connection.execute(
                "SELECT (SELECT count(*) FROM certificates_certificate)"
                " + (SELECT count(*) FROM certificates_intent WHERE state <> 'completed')"
            ).fetchall()
            return int(number)

        yield counted
