"""REST clients with different rights on one platform for each module, and a count of its rows.

A first start costs more than most of these tests, and they only add to it; so it is shared.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from PKaKey.server.tests.conftest import Platform, empty_database
from PKaKey.server.tests.fronts.rest.rest_client import RESTClient

READS = ("certificates:read", "authorities:read", "profiles:read")
ALL = (*READS, "certificates:issue", "certificates:revoke", "tokens:manage")


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
