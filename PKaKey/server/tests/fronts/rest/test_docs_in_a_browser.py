"""The browsable docs in a real headless Chromium, under the content security policy as it is."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from PKaKey.server.tests.conftest import Platform

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def address(platform: Platform, module_patch: pytest.MonkeyPatch) -> Iterator[str]:
    """The web process over plain HTTP on a loopback port."""
    from django.db import connections
    from pytest_django.live_server_helper import LiveServer

    # Playwright's synchronous API runs an event loop in this thread; Django asks whether that is
    # meant before it touches the database from here.
    module_patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    module_patch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    server = LiveServer("localhost")
    yield server.url
    server.stop()


@pytest.fixture(scope="module")
def browser(address: str) -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.fail("There is no chromium on PATH: apt-get install chromium.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield chromium
        chromium.close()


def test_the_docs_show_every_operation_and_break_no_policy(browser: Browser, address: str) -> None:
    page = browser.new_page()
    complaints: list[str] = []
    hosts: set[str] = set()
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.goto(f"{address}/api/v1/docs/")
    expect(page.locator(".opblock")).to_have_count(13)
    page.locator(".opblock-summary-control", has_text="/api/v1/certificates/").nth(1).click()
    expect(page.locator(".opblock.is-open")).to_be_visible()
    expect(page.locator(".opblock.is-open .opblock-description")).to_contain_text("signing request")
    assert complaints == []
    assert {host for host in hosts if host} == {address.removeprefix("http://")}
    page.close()
