"""The gateway's dashboard, in a real browser: for a signed-in administrator and nobody else."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from e2e.browsing import chromium, sign_in
from e2e.native_platform import Platform

pytestmark = [pytest.mark.platform, pytest.mark.browser]


@pytest.fixture(scope="module")
def browser(platform: Platform) -> Iterator[Browser]:
    with chromium(platform) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def gateway(platform: Platform, path: str = "/") -> str:
    return f"https://{platform.domain}:{platform.https_port}{path}"


def test_an_administrator_reaches_the_dashboard_through_the_portal(
    platform: Platform, page: Page
) -> None:
    sign_in(page, platform, "gwen", platform.person("gwen", "pki-admin"))
    page.get_by_role("navigation", name="Screens").get_by_role("link", name="Gateway").click()
    page.get_by_role("link", name="Open").click()
    page.wait_for_url(f"{gateway(platform)}dashboard/**")
    assert "ticket" not in page.url
    expect(page).to_have_title(re.compile("Traefik Proxy"))
    # What it shows comes from the API behind the same door.
    expect(page.get_by_text("Entrypoints").first).to_be_visible()
    expect(page.get_by_text("WEBSECURE").first).to_be_visible()
    fetched = "fetch('/api/rawdata').then(answer => answer.json())"
    assert "pkakey@file" in page.evaluate(fetched)["routers"]
    # Who has left the portal has left the dashboard.
    page.goto(f"{platform.portal}/portal/")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{platform.portal}/**")
    page.goto(gateway(platform, "/api/rawdata"))
    assert page.url.startswith(f"{platform.portal}/accounts/login/")


def test_a_requester_does_not_reach_the_dashboard(platform: Platform, page: Page) -> None:
    sign_in(page, platform, "rita", platform.person("rita", "pki-requester"))
    screens = page.get_by_role("navigation", name="Screens")
    expect(screens.get_by_role("link", name="Gateway")).to_have_count(0)
    for path in ("/portal/gateway/", "/portal/gateway/open/"):
        answer = page.goto(f"{platform.portal}{path}")
        assert answer is not None
        assert answer.status == 403
    for path in ("/", "/dashboard/", "/dashboard/?ticket=guess", "/api/rawdata"):
        page.goto(gateway(platform, path))
        # Led to the portal, which knows who this is and that they may not.
        assert page.url.startswith(platform.portal), path
        expect(page.locator("h1")).to_have_text("You may not see this")


def test_an_anonymous_visitor_is_asked_to_sign_in(platform: Platform, page: Page) -> None:
    for path in ("/", "/dashboard/", "/dashboard/?ticket=guess", "/api/rawdata", "/api/overview"):
        page.goto(gateway(platform, path))
        assert page.url.startswith(f"{platform.portal}/accounts/login/"), path
        expect(page.get_by_label("Password")).to_be_visible()
