"""The portal in a real headless Chromium: accessibility, phones, keyboard, weight, no script.

Screenshots go to artifacts/screenshots/ of the checkout; somebody should look at them.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect

from PKaKey.server.tests.conftest import Platform, csr
from PKaKey.server.tests.fronts.conftest import granted
from PKaKey.server.tests.fronts.portal.conftest import PASSWORD, Person

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SCREENSHOTS = Path(__file__).parents[5] / "artifacts" / "screenshots"
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
LARGEST_FIRST_LOAD_BYTES = 100_000
MOST_REQUESTS = 10


@pytest.fixture(scope="module")
def boss(person: Callable[..., Person]) -> Person:
    return person("pki-admin", "content-editor")


@pytest.fixture(scope="module")
def content(platform: Platform) -> dict[str, str]:
    """Something on every screen; the addresses of one of each."""
    for number in range(12):
        issued = platform.issue(f"host{number}.example.test")
    platform.services.revoke_certificate(
        principal=platform.admin,
        serial_number=platform.issue("revoked.example.test").serial_number,
        reason="superseded",
        now=platform.now,
    )
    platform.token("certificates:read")
    now = datetime.now(tz=UTC)
    granted(platform, "*.past.internal", made=now - timedelta(days=60))
    grant = granted(platform, "*.shown.internal", made=now)
    return {
        "grants": "/portal/grants/",
        "grants-none": "/portal/grants/?state=withdrawn",
        "grant": f"/portal/grants/{grant}/",
        "grant-new": "/portal/grants/new/",
        "grant-withdraw": f"/portal/grants/{grant}/withdraw/",
        "certificate": f"/portal/certificates/{issued.serial_number}/",
        "revoke": f"/portal/certificates/{issued.serial_number}/revoke/",
        "renew": f"/portal/certificates/new/?renew={issued.serial_number}",
        "authority": f"/portal/authorities/{platform.issuing_id}/",
    }


@pytest.fixture
def open_page(
    browser: Browser, address: str
) -> Iterator[Callable[..., tuple[BrowserContext, Page]]]:
    """Return a new page; with a person, signed in. Any complaint in its console is an error."""
    contexts = []

    def make(who: Person | None = None, **options: Any) -> tuple[BrowserContext, Page]:
        context = browser.new_context(base_url=address, **options)
        contexts.append(context)
        if who is not None:
            client: Client = who.client()
            cookie = client.cookies["session"].value
            context.add_cookies([{"name": "session", "value": cookie, "url": address}])
        page = context.new_page()
        page.on("console", lambda message: complain(page.url, message.type, message.text))
        page.on("pageerror", lambda error: complain(page.url, "error", str(error)))
        return context, page

    complaints: list[str] = []

    def complain(url: str, kind: str, text: str) -> None:
        if kind == "error" and "Failed to load resource" not in text:
            complaints.append(f"{url}: {text}")

    yield make
    for context in contexts:
        context.close()
    # Beside a running event loop Django keeps another connection, which nothing else closes.
    connections.close_all()
    assert not complaints


SIGNED_IN = {
    "dashboard": "/portal/",
    "certificates": "/portal/certificates/",
    "certificates-none": "/portal/certificates/?search=nothing-like-this",
    "new": "/portal/certificates/new/",
    "authorities": "/portal/authorities/",
    "profiles": "/portal/profiles/",
    "profile": "/portal/profiles/tls-server/",
    "tokens": "/portal/tokens/",
    "audit": "/portal/audit/",
    "account": "/portal/account/",
    "gateway": "/portal/gateway/",
    "second-factor": "/accounts/2fa/",
    "totp": "/accounts/2fa/totp/activate/",
    "passkey": "/accounts/2fa/webauthn/add/",
    "password": "/accounts/password/change/",
    "sign-out": "/accounts/logout/",
    "not-found": "/portal/nothing/",
}
PUBLIC = {
    "home": "/",
    "help": "/help/",
    "repository": "/repository/",
    "sign-in": "/accounts/login/",
}


def check(page: Page, name: str, scheme: str, size: str) -> list[str]:
    """Return what is wrong with the page, and keep a picture of it."""
    page.evaluate(resources.files("axe_core_python").joinpath("axe.min.js").read_text())
    found = page.evaluate("axe.run()")
    wrong = [
        f"{name}: {violation['id']}: {node['html'][:150]}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
    beyond = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    if beyond > 0:
        wrong.append(f"{name}: {beyond} px too wide")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}-{size}.png", full_page=True)
    return wrong


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_screen_is_accessible_and_fits(
    open_page: Callable[..., tuple[BrowserContext, Page]],
    boss: Person,
    content: dict[str, str],
    scheme: str,
    size: str,
) -> None:
    width, height = SIZES[size]
    # axe is evaluated in the page, which the policy forbids; nothing else needs this.
    options = {
        "viewport": {"width": width, "height": height},
        "color_scheme": scheme,
        "bypass_csp": True,
    }
    wrong = []
    for who, screens in ((boss, SIGNED_IN | content), (None, PUBLIC)):
        _, page = open_page(who, **options)
        if who is not None:
            # The second factor's pages ask for the password once more; so sign in by hand.
            sign_in(page, who)
        for name, path in screens.items():
            page.goto(path)
            wrong += check(page, name, scheme, size)
        if who is not None:
            page.goto("/portal/certificates/new/")
            page.fill("#csr", csr("shown.example.test").decode())
            expect(page.locator("#preview")).to_contain_text("Key usage")
            wrong += check(page, "new-preview", scheme, size)
            page.fill("#csr", "nonsense")
            expect(page.locator("#preview")).to_contain_text("csr.malformed")
            page.click("text=Issue certificate")
            wrong += check(page, "new-refused", scheme, size)
    assert not wrong


def sign_in(page: Page, who: Person) -> None:
    page.context.clear_cookies()
    page.goto("/accounts/login/")
    page.get_by_label("Username or e-mail").fill(who.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/portal/")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_chosen_theme_wins_over_the_systems(
    open_page: Callable[..., tuple[BrowserContext, Page]], theme: str
) -> None:
    _, page = open_page(color_scheme="dark" if theme == "light" else "light")
    page.goto("/help/")
    page.get_by_role("button", name=theme.capitalize()).click()
    page.wait_for_url("**/help/")
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    red = int(re.findall(r"\d+", ground)[0])
    assert (red > 128) == (theme == "light")


@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/portal/", "/portal/certificates/"])
def test_a_first_load_is_light(
    open_page: Callable[..., tuple[BrowserContext, Page]],
    boss: Person,
    content: dict[str, str],
    path: str,
) -> None:
    _, page = open_page(boss if path.startswith("/portal") else None)
    seen: list[tuple[str, int]] = []
    page.on(
        "requestfinished",
        lambda request: seen.append(
            (
                request.url,
                request.sizes()["responseBodySize"] + request.sizes()["responseHeadersSize"],
            )
        ),
    )
    page.goto(path, wait_until="networkidle")
    assert len(seen) <= MOST_REQUESTS, seen
    assert sum(size for _, size in seen) <= LARGEST_FIRST_LOAD_BYTES, seen
    hosts = {url.split("/")[2] for url, _ in seen}
    assert len(hosts) == 1, "No asset comes from a third host."


def test_a_certificate_is_issued_without_script(
    open_page: Callable[..., tuple[BrowserContext, Page]], boss: Person
) -> None:
    _, page = open_page(java_script_enabled=False)
    sign_in(page, boss)
    page.click("text=New certificate")
    page.get_by_label("TLS server").check()
    page.get_by_label("Certificate signing request").fill(csr("plain.example.test").decode())
    page.click("button:text('Preview')")
    expect(page.locator("#preview")).to_contain_text("plain.example.test")
    page.click("text=Issue certificate")
    expect(page.locator("h1")).to_have_text("plain.example.test")
    with page.expect_download() as download:
        page.get_by_role("link", name="PEM", exact=True).click()
    assert Path(download.value.path()).read_text().startswith("-----BEGIN CERTIFICATE-----")
    page.get_by_role("link", name="Revoke").click()
    page.get_by_label("Another certificate takes its place").check()
    page.click("form .danger")
    expect(page.locator(".status").first).to_have_text("revoked")


def test_a_file_is_previewed_under_the_strict_policy(
    open_page: Callable[..., tuple[BrowserContext, Page]], boss: Person, tmp_path: Path
) -> None:
    from pkakey_engine.testing.requests import make_csr

    (tmp_path / "a.der").write_bytes(
        make_csr(common_name="file.example.test", dns=["file.example.test"], pem=False)
    )
    _, page = open_page(boss)
    page.goto("/portal/certificates/new/")
    page.set_input_files("#csr_file", tmp_path / "a.der")
    expect(page.locator("#preview")).to_contain_text("file.example.test")
    expect(page.locator("#csr")).to_have_value(re.compile("BEGIN CERTIFICATE REQUEST"))
    box = page.get_by_role("button", name="Issue certificate").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 720, "The button is always in view."


def test_everything_is_reached_by_keyboard(
    open_page: Callable[..., tuple[BrowserContext, Page]], boss: Person, content: dict[str, str]
) -> None:
    _, page = open_page(boss)
    page.goto("/portal/")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("Control+k")
    expect(page.locator("#search-all")).to_be_focused()
    page.keyboard.type("host7")
    page.keyboard.press("Enter")
    page.wait_for_url("**/portal/certificates/?search=host7")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("tbody a").focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("host7.example.test")


def test_each_stop_of_the_keyboard_is_seen(
    open_page: Callable[..., tuple[BrowserContext, Page]], boss: Person
) -> None:
    _, page = open_page(boss)
    page.goto("/portal/certificates/new/")
    for _ in range(25):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break  # Past the last stop: the browser's own bar comes next.
        seen = page.evaluate(
            """() => { const e = document.activeElement, t = e.closest(".tile");
            return [e, t].some(x => x && getComputedStyle(x).outlineStyle === "solid"); }"""
        )
        assert seen, page.evaluate("document.activeElement.outerHTML.slice(0, 200)")


def test_wagtails_editor_works_under_its_own_policy(
    open_page: Callable[..., tuple[BrowserContext, Page]], boss: Person
) -> None:
    from pkakey.fronts.portal.models import HelpPage

    _, page = open_page(boss)
    page.goto(f"/cms/pages/{HelpPage.objects.get(slug='help').pk}/edit/")
    expect(page.locator(".DraftEditor-root").first).to_be_visible()
