"""The portal as people see it on a platform in use: pictures are kept, and nothing overflows.

The pictures go to artifacts/screenshots/platform/ of the checkout; somebody should look at them.
Each screen's accessibility is tested beside the portal itself.
"""

import json
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page

from bench.load import Target, exchange
from bench.requests import csr_pem, issue_request
from e2e.browsing import chromium, sign_in
from e2e.native_platform import Platform

pytestmark = [pytest.mark.platform, pytest.mark.browser, pytest.mark.timeout(600)]

PICTURES = Path(__file__).parents[1] / "artifacts" / "screenshots" / "platform"
CERTIFICATES = 300
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


def fill(platform: Platform) -> str:
    """Issue some hundred certificates, revoke one, and return the serial number of another."""
    host = f"pkakey.{platform.domain}"
    token = platform.token("certificates:issue", "certificates:read")
    serials = []
    with Target(platform.https_port, host, str(platform.root())).connect() as connection:
        for number in range(CERTIFICATES):
            request = issue_request(
                host=f"{host}:{platform.https_port}",
                token=token,
                csr=csr_pem(f"node-{number}.rack-{number % 7}.example.test"),
            )
            status, body = exchange(connection, request)
            assert status == 201, body
            serials.append(json.loads(body)["serial_number"])
    platform.ddt("revoke", serials[-2], "--reason", "keyCompromise")
    return str(serials[-1])


def keep(page: Page, name: str, wrong: list[str]) -> None:
    beyond = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    if beyond > 0:
        wrong.append(f"{name}: {beyond} px too wide")
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def test_every_screen_of_a_platform_in_use_is_shown(platform: Platform) -> None:
    serial = fill(platform)
    PICTURES.mkdir(parents=True, exist_ok=True)
    one_time = platform.person("vera", "pki-admin")
    wrong: list[str] = []
    with chromium(platform) as browser:
        context = browser.new_context()
        context.set_default_timeout(60_000)
        page = context.new_page()
        sign_in(page, platform, "vera", one_time)
        screens = {
            "home": "/",
            "help": "/help/",
            "repository": "/repository/",
            "dashboard": "/portal/",
            "certificates": "/portal/certificates/",
            "certificates-found": "/portal/certificates/?search=rack-3",
            "certificate": f"/portal/certificates/{serial}/",
            "revoke": f"/portal/certificates/{serial}/revoke/",
            "new": "/portal/certificates/new/",
            "authorities": "/portal/authorities/",
            "profiles": "/portal/profiles/",
            "tokens": "/portal/tokens/",
            "audit": "/portal/audit/",
            "account": "/portal/account/",
        }
        schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)
            for size, (width, height) in SIZES.items():
                page.set_viewport_size({"width": width, "height": height})
                for name, path in screens.items():
                    answer = page.goto(f"{platform.portal}{path}")
                    assert answer is not None
                    assert answer.status == 200, path
                    keep(page, f"{name}-{scheme}-{size}", wrong)
        context.close()
    assert not wrong
