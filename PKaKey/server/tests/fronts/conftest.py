"""What the tests of several fronts share: one platform for each module, and a real browser."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from playwright.sync_api import Browser, sync_playwright

from PKaKey.server.tests.conftest import Platform, empty_database


@pytest.fixture(scope="module")
def module_patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def shared_platform(
    signer_process: Path,
    admin_dsn: str,
    django_db_blocker: Any,
    tmp_path_factory: pytest.TempPathFactory,
    module_patch: pytest.MonkeyPatch,
    token_key_file: Path,
) -> Iterator[Platform]:
    """A platform after its first start, and a second namespace `guest` beside `default`.

    A first start costs more than most of a front's tests, and they only add to it; so each module
    has one.
    """
    from django.db import connections
    from pkakey.config import wiring
    from pkakey.services import Services
    from pkakey.services.namespace_walk import each_namespace
    from pkakey.services.outside import Outside
    from pkakey.services.principals import Principal
    from pkakey.store import direct
    from pkakey_signers.client import SignerClient

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
                token_key_file=token_key_file,
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
def address(platform: Platform, module_patch: pytest.MonkeyPatch) -> Iterator[str]:
    """The web process over plain HTTP on a loopback port, for this module's tests."""
    from django.conf import settings
    from django.core.servers.basehttp import ThreadedWSGIServer
    from django.db import connections
    from pkakey.store import direct
    from pytest_django.live_server_helper import LiveServer

    def close_connections(_: ThreadedWSGIServer) -> None:
        connections.close_all()
        direct.close()

    # Each request has a thread of its own, and would leave both of its connections open behind it.
    module_patch.setattr(ThreadedWSGIServer, "_close_connections", close_connections)
    # Playwright's synchronous API runs an event loop in this thread; Django asks whether that is
    # meant before it touches the database from here.
    module_patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    # Browsers take cookies named __Host- over HTTPS only.
    for name in ("SESSION", "CSRF"):
        module_patch.setattr(settings, f"{name}_COOKIE_SECURE", False)
        module_patch.setattr(settings, f"{name}_COOKIE_NAME", name.lower())
    server = LiveServer("localhost")
    yield server.url
    server.stop()


@pytest.fixture(scope="module")
def browser(address: str) -> Iterator[Browser]:
    """Debian's Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have Chromium for the browser tests: apt-get install chromium")
        pytest.skip("there is no Chromium on PATH: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield chromium
        chromium.close()


def granted(platform: Any, pattern: str, *, made: datetime, namespace: str = "default") -> UUID:
    """Record a grant for thirty days as a process of KoolFlows would; return its id."""
    from pkakey.services.approved import flows_principal
    from pkakey.services.closing import Allowed
    from pkakey.services.grants import Asked, grant

    allowed = Allowed(
        id=uuid4(), diagram="namespace-grant", version=3, sha256="e" * 64, namespace=namespace,
        path=["GrantStart", "GrantDecided"], deciders=[{"name": "otto", "element": "GrantDecide"}],
    )  # fmt: skip
    asked = Asked(namespace, pattern, "tls-client", made + timedelta(days=30))
    answer = grant(principal=flows_principal(namespace), allowed=allowed, asked=asked, now=made)
    return UUID(answer["grant"])
