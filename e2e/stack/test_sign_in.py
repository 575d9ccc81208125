"""One sign-in for every page, in a real browser: roles decide, signing out ends it everywhere.

Pictures go to artifacts/screenshots/stack/ of the checkout; somebody should look at them.
"""

import base64
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, Page, Response, expect, sync_playwright

from e2e.stack.keycloak import PASSWORD, Keycloak
from e2e.stack.stack import DOMAIN, Stack

pytestmark = pytest.mark.browser
PICTURES = Path(__file__).parents[2] / "artifacts" / "screenshots" / "stack"


@pytest.fixture(scope="module")
def browser(stack: Stack) -> Iterator[Browser]:
    """Chromium that finds the gateway without DNS and trusts its key, and nobody else's."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have Chromium for the browser tests: apt-get install chromium")
        pytest.skip("there is no Chromium on PATH: apt-get install chromium")
    shown = stack.inside("quewall_traefik", "cat", "/etc/traefik/dynamic/tls.pem").encode()
    key = x509.load_pem_x509_certificate(shown).public_key()
    octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pin = base64.b64encode(hashlib.sha256(octets).digest()).decode()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=program,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                f"--host-resolver-rules=MAP {DOMAIN} 127.0.0.1,MAP *.{DOMAIN} 127.0.0.1",
                f"--ignore-certificate-errors-spki-list={pin}",
            ],
        )
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    expect.set_options(timeout=60_000)
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def people(keycloak: Keycloak) -> None:
    """An administrator, a requester, and one who administers databases."""
    keycloak.person("ada", "/default/admins")
    keycloak.person("rita", "/default/requesters")
    keycloak.person("dora", "/database-admins", namespace="default")


def at_keycloak(page: Page, username: str, password: str = PASSWORD) -> None:
    """Fill in Keycloak's form, which has to be there."""
    page.locator("#username").fill(username)
    page.locator("#password").fill(password)
    page.keyboard.press("Enter")


def keep(page: Page, name: str) -> None:
    """Keep a picture of the page."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def go(page: Page, address: str) -> Response:
    answer = page.goto(address)
    assert answer is not None
    return answer


def test_the_first_administrator_chooses_a_password_and_reaches_the_portal(
    stack: Stack, page: Page
) -> None:
    page.goto(stack.address("pkakey", "/portal/"))
    expect(page.locator("#username")).to_be_visible()
    keep(page, "keycloak-sign-in")
    at_keycloak(page, "admin", stack.secret("admin-password"))
    expect(page.locator("#password-new")).to_be_visible()
    keep(page, "keycloak-first-password")
    page.locator("#password-new").fill(PASSWORD)
    page.locator("#password-confirm").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(stack.address("pkakey", "/portal/**"))
    expect(page.locator("h1")).to_have_text("Dashboard")
    keep(page, "portal-dashboard")
    page.goto(stack.address("pkakey", "/api/v1/docs/"))
    expect(page.get_by_text("certificates").first).to_be_visible()
    keep(page, "rest-api")
    page.goto(stack.address("keycloak", "/admin/theddt/console/"))
    expect(page.get_by_text("Realm settings").first).to_be_visible()
    expect(page.get_by_role("heading", name="theDDT").first).to_be_visible()
    keep(page, "keycloak-console")
    page.goto(stack.address("keycloak", "/admin/theddt/console/#/theddt/users"))
    expect(page.get_by_role("link", name="admin", exact=True)).to_be_visible()
    keep(page, "keycloak-people")


@pytest.mark.usefixtures("people")
def test_one_sign_in_opens_every_page_of_the_role_and_signing_out_ends_all(
    stack: Stack, page: Page
) -> None:
    page.goto(stack.address("pkakey", "/portal/"))
    at_keycloak(page, "ada")
    page.wait_for_url(stack.address("pkakey", "/portal/**"))
    # No second sign-in: the gateway's dashboard and Keycloak's console.
    page.goto(stack.address(""))
    page.wait_for_url(stack.address("", "/dashboard/**"))
    expect(page).to_have_title(re.compile("Traefik Proxy"))
    expect(page.get_by_text(f":{stack.https_port}").first).to_be_visible()
    keep(page, "gateway-dashboard")
    assert go(page, stack.address("keycloak", "/admin/realms/theddt/users")).status != 403
    # The local image has no new pages, the pinned one no old ones; both have this.
    page.goto(stack.address("", "/prometheus/api/v1/targets"))
    expect(page.get_by_text("quewall_traefik:8082").first).to_be_visible()
    keep(page, "prometheus-targets")
    # Keycloak's console opens, and shows nothing: who manages people is in another group.
    assert go(page, stack.address("keycloak", "/admin/theddt/console/")).status == 200
    expect(page.get_by_text("You do not have permission").first).to_be_visible()
    # Not the databases: that is another role.
    assert go(page, stack.address("pgadmin")).status == 403
    keep(page, "pgadmin-denied")
    # Signing out of the portal ends the session at Keycloak, and with it everything.
    page.goto(stack.address("pkakey", "/portal/"))
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(stack.address("pkakey", "/**"))
    page.goto(stack.address("pkakey", "/portal/"))
    expect(page.locator("#username")).to_be_visible()


@pytest.mark.usefixtures("people")
def test_signing_out_at_the_gateway_asks_for_the_password_again(stack: Stack, page: Page) -> None:
    page.goto(stack.address(""))
    at_keycloak(page, "ada")
    page.wait_for_url(stack.address("", "/dashboard/**"))
    cookies = page.context.cookies()
    page.goto(stack.address("auth", "/oauth2/sign_out"))
    page.goto(stack.address("", "/dashboard/"))
    expect(page.locator("#username")).to_be_visible()
    # The old cookie is worth nothing any more.
    page.context.clear_cookies()
    page.context.add_cookies([c for c in cookies if c["name"].startswith("_oauth2_proxy")])  # type: ignore[misc]
    page.goto(stack.address("", "/dashboard/"))
    expect(page.locator("#username")).to_be_visible()


@pytest.mark.usefixtures("people")
def test_a_requester_is_denied_what_administrators_see(stack: Stack, page: Page) -> None:
    page.goto(stack.address("pkakey", "/portal/"))
    at_keycloak(page, "rita")
    page.wait_for_url(stack.address("pkakey", "/portal/**"))
    for address in (
        stack.address("", "/dashboard/"),
        stack.address("", "/api/rawdata"),
        stack.address("", "/prometheus/"),
        stack.address("pgadmin", "/browser/"),
        stack.address("keycloak", "/admin/theddt/console/"),
        stack.address("keycloak", "/admin/realms/theddt/users"),
    ):
        assert go(page, address).status == 403, address


@pytest.mark.usefixtures("people")
def test_who_administers_databases_gets_pgadmin_with_the_server_listed(
    stack: Stack, page: Page
) -> None:
    page.goto(stack.address("pgadmin"))
    at_keycloak(page, "dora")
    page.wait_for_url(stack.address("pgadmin", "/browser/**"))
    expect(page.get_by_text("theDDT").first).to_be_visible()
    expect(page.get_by_text("Loading pgAdmin").first).to_be_hidden()
    keep(page, "pgadmin")
    assert go(page, stack.address("", "/dashboard/")).status == 403


def test_a_wrong_password_does_not_sign_in(stack: Stack, page: Page) -> None:
    page.goto(stack.address("pkakey", "/portal/"))
    at_keycloak(page, "admin", "wrong password")
    expect(page.locator("#username")).to_be_visible()
    page.goto(stack.address("pkakey", "/portal/"))
    expect(page.locator("#username")).to_be_visible()
