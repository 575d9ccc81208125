"""The list, its filters and pages, the export, one certificate, downloads and revocation."""

import csv
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pkakey_engine.testing.requests import make_csr

from PKaKey.server.tests.conftest import Platform

LIST = "/portal/certificates/"


@pytest.fixture(scope="module")
def one(platform: Platform) -> Any:
    return platform.issue("www.one.test")


@pytest.fixture(scope="module")
def many(platform: Platform) -> list[Any]:
    return [platform.issue(f"host{number:02}.many.test") for number in range(60)]


@pytest.mark.parametrize("part", ["one.te", "WWW.ONE", "www.one.test"])
def test_a_part_of_a_name_finds_it(officer: Client, one: Any, part: str) -> None:
    assert one.serial_number in officer.get(LIST, {"search": part}).text


def in_pairs(digits: str) -> str:
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2)).upper()


def test_a_serial_number_finds_it(officer: Client, one: Any) -> None:
    number = one.serial_number
    for search in (number, number.upper(), number[:20], in_pairs(number)):
        assert number in officer.get(LIST, {"search": search}).text, search


def test_a_fingerprint_finds_it(officer: Client, one: Any) -> None:
    fingerprint = hashlib.sha256(one.der).hexdigest()
    for search in (fingerprint, fingerprint.upper(), in_pairs(fingerprint)):
        assert one.serial_number in officer.get(LIST, {"search": search}).text, search


@pytest.mark.parametrize("search", ["%", "_", "\\", "'; DROP TABLE x; --", "\x00", "é", "a" * 9000])
def test_signs_of_a_search_are_only_letters(officer: Client, one: Any, search: str) -> None:
    response = officer.get(LIST, {"search": search})
    assert response.status_code == 200
    assert search == "\x00" or one.serial_number not in response.text


@pytest.mark.parametrize(
    "query",
    ["status=nope", "ending=-1", "ending=x", "authority=x", "profile=nope", "profile=%00x"],
)
def test_filters_that_are_not_offered_are_no_failure(officer: Client, query: str) -> None:
    assert officer.get(f"{LIST}?{query}").status_code == 200


@pytest.mark.parametrize("cursor", ["x", "AAAA", "%00", "é", "9" * 5000])
def test_a_page_that_was_never_given_out_is_refused_in_words(officer: Client, cursor: str) -> None:
    for path in (LIST, "/portal/audit/"):
        assert officer.get(path, {"cursor": cursor}).status_code == 400


def test_pages_show_each_certificate_once_and_lead_back(officer: Client, many: list[Any]) -> None:
    import re

    def serials(text: str) -> list[str]:
        return re.findall(r'<span class="soft mono">([0-9a-f]+)</span>', text)

    first = officer.get(LIST, {"search": "many.test"}).text
    [older] = re.findall(r'href="(\?[^"]+)">Older', first)
    second = officer.get(LIST + older.replace("&amp;", "&")).text
    seen = serials(first) + serials(second)
    assert len(seen) == len(set(seen)) == 60
    assert set(seen) == {each.serial_number for each in many}
    [newer] = re.findall(r'href="(\?[^"]+)">Newer', second)
    assert serials(officer.get(LIST + newer.replace("&amp;", "&")).text) == serials(first)


def test_the_list_takes_at_most_six_queries(officer: Client, many: list[Any]) -> None:
    officer.get(LIST)
    with CaptureQueriesContext(connection) as queries:
        assert officer.get(LIST, {"search": "many"}).status_code == 200
    statements = [q["sql"] for q in queries if q["sql"] not in {"BEGIN", "COMMIT"}]
    assert len(statements) <= 6, statements


def test_an_empty_answer_says_what_to_do(officer: Client) -> None:
    assert "No certificate fits" in officer.get(LIST, {"search": "nothing-like-this"}).text


@pytest.mark.parametrize(
    ("path", "function"),
    [
        (LIST, "pkakey.selectors.certificates.list_certificates"),
        ("/portal/", "pkakey.selectors.dashboard.summary"),
    ],
)
def test_what_did_not_load_is_never_drawn_as_zero(
    officer: Client, path: str, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise DatabaseError

    monkeypatch.setattr(function, fail)
    response = officer.get(path)
    assert response.status_code == 503
    assert "could not be loaded" in response.text
    assert "Try again" in response.text
    assert "<strong>0</strong>" not in response.text
    assert "No certificates" not in response.text


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_cell_of_an_export_is_a_formula(platform: Platform, officer: Client, start: str) -> None:
    name = f"{start}HYPERLINK(1)"
    platform.issue(csr=make_csr(common_name=name), profile="tls-client")
    text = b"".join(officer.get(f"{LIST}export.csv")).decode()  # type: ignore[arg-type]
    cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
    assert any("HYPERLINK(1)" in cell for cell in cells)
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_an_export_is_streamed_and_obeys_the_filters(officer: Client, many: list[Any]) -> None:
    response: Any = officer.get(f"{LIST}export.csv", {"search": "many.test"})
    assert response.streaming
    assert response.headers["Content-Disposition"].startswith('attachment; filename="certificates-')
    rows = list(csv.DictReader(b"".join(response).decode().splitlines()))
    assert {row["serial_number"] for row in rows} == {each.serial_number for each in many}


@pytest.mark.parametrize("form", ["pem", "der", "chain", "pkcs7"])
def test_each_download_holds_the_certificate(officer: Client, one: Any, form: str) -> None:
    response = officer.get(f"{LIST}{one.serial_number}/{form}")
    assert response.headers["Content-Disposition"].startswith("attachment")
    read: dict[str, Callable[[bytes], list[x509.Certificate]]] = {
        "pem": x509.load_pem_x509_certificates,
        "chain": x509.load_pem_x509_certificates,
        "der": lambda data: [x509.load_der_x509_certificate(data)],
        "pkcs7": pkcs7.load_der_pkcs7_certificates,
    }
    found = read[form](response.content)
    assert f"{found[0].serial_number:x}" == one.serial_number or form == "pkcs7"
    assert len(found) == (3 if form in {"chain", "pkcs7"} else 1)


@pytest.mark.parametrize("form", ["p12", "PEM", "pem%00", "key"])
def test_no_other_form_is_there(officer: Client, one: Any, form: str) -> None:
    assert officer.get(f"{LIST}{one.serial_number}/{form}").status_code == 404


@pytest.mark.parametrize(
    "serial_number", ["0", "00ab", "AB", "-1", "g", "1" * 41, "%00", "ab'", "ab;x"]
)
@pytest.mark.parametrize("rest", ["", "revoke/", "pem"])
def test_what_is_no_serial_number_is_not_there(
    officer: Client, serial_number: str, rest: str
) -> None:
    assert officer.get(f"{LIST}{serial_number}/{rest}").status_code == 404


def test_one_certificate_is_told_in_words(officer: Client, one: Any) -> None:
    text = officer.get(f"{LIST}{one.serial_number}/").text
    for words in ("in 89 days", "TLS server", "theDDT Issuing CA", "UTC", "Certificate issued"):
        assert words in text, words


@pytest.mark.parametrize("reason", ["", "nope", "removeFromCRL", "1", "<b>"])
def test_a_revocation_needs_a_reason_that_is_offered(
    officer: Client, one: Any, reason: str, count: Callable[[], tuple[int, ...]]
) -> None:
    before = count()
    response = officer.post(f"{LIST}{one.serial_number}/revoke/", {"reason": reason})
    assert response.status_code == 400
    assert "revocation." in response.text
    assert count() == before


def test_the_confirm_page_says_the_effect(officer: Client, one: Any) -> None:
    assert "cannot be undone" in officer.get(f"{LIST}{one.serial_number}/revoke/").text


def test_a_revoked_certificate_says_so_and_cannot_be_revoked_again(
    platform: Platform, officer: Client
) -> None:
    path = f"{LIST}{platform.issue('gone.test').serial_number}/"
    response: Any = officer.post(f"{path}revoke/", {"reason": "keyCompromise"}, follow=True)
    assert "may be known to somebody else" in response.text
    assert "Revoke …" not in response.text
    again = officer.post(f"{path}revoke/", {"reason": "keyCompromise"})
    assert again.status_code == 400
    assert "revocation.already-revoked" in again.text
