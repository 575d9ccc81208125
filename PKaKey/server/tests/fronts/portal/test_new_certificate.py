"""A new certificate: the preview, what is refused and why, and the way to an issued one."""

import base64
import random
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pkakey_engine.testing.requests import make_csr

from PKaKey.server.tests.conftest import csr

NEW, PREVIEW = "/portal/certificates/new/", "/portal/certificates/preview/"


def broken_signature() -> str:
    der = bytearray(make_csr(common_name="a.example.test", dns=["a.example.test"], pem=False))
    der[-1] ^= 1
    body = base64.encodebytes(bytes(der)).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"


def small_key() -> str:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505  # Refused for it.
    made: bytes = make_csr(common_name="a.example.test", dns=["a.example.test"], private_key=key)
    return made.decode()


def known_key() -> str:
    key = ec.derive_private_key(1, ec.SECP256R1())
    made: bytes = make_csr(common_name="a.example.test", dns=["a.example.test"], private_key=key)
    return made.decode()


BAD = {
    "empty": ("", "csr.malformed"),
    "words": ("Please give me a certificate.", "csr.malformed"),
    "nul": ("\x00" * 40, "csr.malformed"),
    "truncated": (csr("a.example.test").decode()[:200], "csr.malformed"),
    "huge": ("A" * 65_537, "csr.too-large"),
    "huge in UTF-8": ("é" * 33_000, "csr.too-large"),
    "a broken signature": (broken_signature(), "csr.bad-signature"),
    "a key of 1,024 bits": (small_key(), "key.too-small"),
    "a key that everybody knows": (known_key(), "key.known-compromised"),
    "random bytes": (random.Random(7).randbytes(500).decode("latin-1"), "csr.malformed"),  # noqa: S311
    "no name": (make_csr().decode(), "name.missing"),
    "no name that may be": (make_csr(common_name="not a name").decode(), "name."),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_request_is_refused_beside_the_field_and_nothing_is_stored(
    officer: Client, kind: str, count: Callable[[], tuple[int, ...]]
) -> None:
    text, code = BAD[kind]
    before = count()
    for act in ("issue", "preview"):
        response = officer.post(NEW, {"csr": text, "profile": "tls-server", "act": act})
        assert response.status_code == 400
        assert f"<code>{code}" in response.text
        assert 'aria-invalid="true"' in response.text
    live = officer.post(PREVIEW, {"csr": text, "profile": "tls-server"})
    assert f"<code>{code}" in live.text
    assert count() == before


def test_random_bytes_as_a_file_are_refused(
    officer: Client, count: Callable[[], tuple[int, ...]]
) -> None:
    before = count()
    for act in ("issue", "preview"):
        file = SimpleUploadedFile("a.csr", bytes(range(256)) * 9)
        response = officer.post(NEW, {"csr_file": file, "profile": "tls-server", "act": act})
        assert response.status_code == 400
        assert "csr.malformed" in response.text
    assert count() == before


@pytest.mark.parametrize("profile", ["", "nope", "root-ca", "issuing-ca", "ocsp-signer", "../x"])
def test_only_profiles_for_end_entities_are_served(
    officer: Client, profile: str, count: Callable[[], tuple[int, ...]]
) -> None:
    before = count()
    form = {"csr": csr("a.example.test").decode(), "profile": profile, "act": "issue"}
    response = officer.post(f"{NEW}?profile=nope", form)
    assert response.status_code == 400
    assert 'id="csr-error"' in response.text
    assert count() == before


def test_a_body_past_the_limit_gets_an_answer(officer: Client) -> None:
    response = officer.post(NEW, {"csr": "A" * 2_000_000, "profile": "tls-server"})
    assert response.status_code == 400


def test_the_preview_says_what_will_be_issued_and_stores_nothing(
    officer: Client, count: Callable[[], tuple[int, ...]]
) -> None:
    before = count()
    form = {"csr": csr("seen.example.test").decode(), "profile": "tls-server"}
    for text in (
        officer.post(PREVIEW, form).text,
        officer.post(NEW, form | {"act": "preview"}).text,
    ):
        for words in (
            "seen.example.test",
            "theDDT Issuing CA",
            "in 89 days",
            "Key usage",
            "2.5.29.",
        ):
            assert words in text
        assert "has been issued or stored" in text
    assert count() == before


def test_issuing_leads_to_the_certificate_with_commands_to_try(officer: Client) -> None:
    form = {"csr": csr("new.example.test").decode(), "profile": "tls-server", "act": "issue"}
    response: Any = officer.post(NEW, form, follow=True)
    assert response.status_code == 200
    [(where, _)] = response.redirect_chain
    serial_number = where.split("/")[3]
    assert f"openssl verify -CAfile root.pem -untrusted {serial_number}.chain.pem" in response.text
    assert "openssl verify" not in officer.get(where).text, "The commands are shown once."


def test_a_der_file_is_taken_too(officer: Client) -> None:
    der = make_csr(common_name="der.example.test", dns=["der.example.test"], pem=False)
    file = SimpleUploadedFile("a.der", der)
    response = officer.post(NEW, {"csr_file": file, "profile": "tls-client", "act": "issue"})
    assert response.status_code == 302


def test_what_the_preview_showed_is_what_is_issued(officer: Client) -> None:
    form = {"csr": csr("same.example.test").decode(), "profile": "tls-server"}
    preview = officer.post(PREVIEW, form).text
    page: Any = officer.post(NEW, form | {"act": "issue"}, follow=True)
    start = preview.index('<div class="extension">')
    extensions = preview[start : preview.index('<p class="hint">')].strip()
    assert extensions
    assert extensions in page.text


def test_a_name_with_markup_stays_text(officer: Client) -> None:
    evil = "<script>alert(1)</script>"
    form = {"csr": make_csr(common_name=evil).decode(), "profile": "tls-client"}
    for text in (
        officer.post(PREVIEW, form).text,
        officer.post(NEW, form | {"act": "issue"}, follow=True).text,
    ):
        assert evil not in text


def test_renewal_starts_from_the_old_names_and_profile(officer: Client) -> None:
    form = {"csr": csr("old.example.test").decode(), "profile": "tls-client", "act": "issue"}
    serial_number = officer.post(NEW, form).headers["Location"].split("/")[3]
    page = officer.get(f"{NEW}?renew={serial_number}").text
    assert "Renew old.example.test" in page
    assert 'value="tls-client" checked' in page


@pytest.mark.parametrize("serial_number", ["ab", "", "%00", "zz", "1" * 41])
def test_renewal_of_what_is_not_there_is_no_failure(officer: Client, serial_number: str) -> None:
    assert officer.get(f"{NEW}?renew={serial_number}").status_code in {200, 404}


def test_without_its_signer_the_platform_says_so(
    officer: Client, platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pkakey.services import Services
    from pkakey.services.errors import ServiceUnavailable

    def refuse(*_: Any, **__: Any) -> None:
        raise ServiceUnavailable("signer", "The signer does not answer.")

    monkeypatch.setattr(Services, "issue_certificate", refuse)
    form = {"csr": csr("x.example.test").decode(), "profile": "tls-server", "act": "issue"}
    response = officer.post(NEW, form)
    assert response.status_code == 503
    assert "signer.unavailable" in response.text
