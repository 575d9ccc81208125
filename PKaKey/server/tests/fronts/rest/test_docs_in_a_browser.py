"""The browsable docs in a real headless Chromium, under the content security policy as it is."""

import pytest
from playwright.sync_api import Browser, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


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
    expect(page.locator(".opblock")).to_have_count(18)
    page.locator(".opblock-summary-control", has_text="/api/v1/certificates/").nth(1).click()
    expect(page.locator(".opblock.is-open")).to_be_visible()
    expect(page.locator(".opblock.is-open .opblock-description")).to_contain_text("signing request")
    assert complaints == []
    assert {host for host in hosts if host} == {address.removeprefix("http://")}
    page.close()
