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
from playwright.sync_api import Browser, sync_playwright

from e2e.native_platform import Platform


@contextmanager
def chromium(platform: Platform) -> Iterator[Browser]:
    """Start Debian's Chromium; `*.localhost` is the loopback address to it (RFC 6761)."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have Chromium for the browser tests: apt-get install chromium")
        pytest.skip("there is no Chromium on PATH: apt-get install chromium")
    certificate = x509.load_pem_x509_certificate(
        (platform.home / "gateway" / "tls" / "tls.crt").read_bytes()
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
