"""The public pages, the error pages, and the content security policy that holds on all."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from django.db import DatabaseError
from django.test import Client

from PKaKey.server.tests.conftest import Platform

PAGES = ("/", "/help/", "/repository/", "/accounts/login/")
SIGNED_IN = (
    "/portal/",
    "/portal/certificates/",
    "/portal/certificates/new/",
    "/portal/authorities/",
    "/portal/profiles/",
    "/portal/profiles/tls-server/",
    "/portal/tokens/",
    "/portal/audit/",
    "/portal/account/",
    "/portal/gateway/",
    "/accounts/2fa/",
    "/accounts/password/change/",
    "/accounts/logout/",
)


@pytest.mark.parametrize("path", PAGES)
def test_anybody_may_read_the_public_pages(anonymous: Client, path: str) -> None:
    assert anonymous.get(path).status_code == 200


def test_the_repository_has_each_authority_with_its_fingerprint(
    platform: Platform, anonymous: Client, admin: Client
) -> None:
    text = anonymous.get("/repository/").text
    for authority_id in (platform.root_id, platform.issuing_id):
        pem = admin.get(f"/portal/authorities/{authority_id}/certificate.pem").content
        digest = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256())
        assert digest.hex(":").upper() in text
        assert f"http://pkakey.theddt.localhost:8080/crl/{authority_id}.crl" in text


def test_the_repository_never_says_that_there_are_none_when_it_could_not_look(
    anonymous: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise DatabaseError

    monkeypatch.setattr("pkakey.fronts.portal.models.public_repository", fail)
    text = anonymous.get("/repository/").text
    assert "could not be read" in text
    assert "There is no authority yet" not in text


@pytest.mark.parametrize("path", [*PAGES, *SIGNED_IN])
def test_the_policy_allows_nothing_inline_and_nothing_is(admin: Client, path: str) -> None:
    response = admin.get(path, follow=True)
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    assert "default-src 'none'" in policy
    text = response.text
    assert not re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    for attributes, body in re.findall(r"<script([^>]*)>(.*?)</script>", text, re.DOTALL):
        assert "src=" in attributes or 'type="application/json"' in attributes, body


@pytest.mark.parametrize("path", [*PAGES, *SIGNED_IN])
def test_a_page_has_one_main_heading_a_language_and_a_way_past_the_menu(
    admin: Client, path: str
) -> None:
    text = admin.get(path, follow=True).text
    assert len(re.findall("<h1", text)) == 1
    assert '<html lang="en"' in text
    assert '<a class="skip" href="#main">' in text


@pytest.mark.parametrize(
    "path", ["/portal/nothing/", "/nothing/", "/portal/authorities/x/", "/portal/profiles/nope/"]
)
def test_what_is_not_there_gets_our_own_page_with_a_reference(admin: Client, path: str) -> None:
    response = admin.get(path)
    assert response.status_code == 404
    assert response.headers["X-Request-ID"] in response.text


def test_a_failure_of_ours_says_nothing_but_a_reference(
    client_of: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr("pkakey.selectors.profiles.list_profiles", fail)
    client = client_of("pki-admin")
    client.raise_request_exception = False
    response = client.get("/portal/profiles/")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.headers["X-Request-ID"] in response.text


def test_the_style_sheet_and_the_script_stay_small() -> None:
    from django.contrib.staticfiles import finders

    sizes = {"portal.css": 25_000, "portal.js": 10_000, "icons.svg": 5_000}
    for name, limit in sizes.items():
        with open(str(finders.find(f"portal/{name}")), "rb") as file:  # noqa: PTH123
            assert len(file.read()) <= limit, name
