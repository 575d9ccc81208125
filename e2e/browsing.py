"""A real headless Chromium that trusts the platform's gateway, and nobody else's."""

import base64
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, Page, expect, sync_playwright

from e2e.native_platform import Platform
from e2e.portal import PASSWORD


@contextmanager
def chromium(platform: Platform) -> Iterator[Browser]:
    """Start Debian's Chromium; `*.localhost` is the loopback address to it (RFC 6761)."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have Chromium for the browser tests: apt-get install chromium")
        pytest.skip("there is no Chromium on PATH: apt-get install chromium")
    certificate = x509.load_pem_x509_certificate(
        (platform.home / "gateway" / "tls" / "tls.pem").read_bytes()
    )
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pin = base64.b64encode(hashlib.sha256(key).digest()).decode()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                # Its own store of roots is not ours to change; the gateway's own key is known.
                f"--ignore-certificate-errors-spki-list={pin}",
            ],
        )
        yield browser
        browser.close()


def sign_in(page: Page, platform: Platform, username: str, one_time: str) -> None:
    """Sign in with a one-time password, and choose an own one as the portal demands."""
    page.goto(f"{platform.portal}/")
    page.get_by_role("link", name="Sign in").first.click()
    page.get_by_label("Username or e-mail").fill(username)
    page.get_by_label("Password").fill(one_time)
    page.keyboard.press("Enter")
    page.get_by_label("Current Password").fill(one_time)
    page.get_by_label("New Password", exact=True).fill(PASSWORD)
    page.get_by_label("New Password (again)").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/portal/")
    expect(page.locator("h1")).to_have_text("Dashboard")
