"""Finding certificates: filters, search, cursor pages, one of them, downloads."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7
from django.db import connection
from django.test.utils import CaptureQueriesContext

from PKaKey.server.tests.conftest import Platform
from PKaKey.server.tests.fronts.rest.rest_client import RESTClient, problem

NAMES = [f"list{number}.example.test" for number in range(7)]


@pytest.fixture(scope="module")
def issued(platform: Platform) -> list[str]:
    """Serial numbers of certificates for NAMES, oldest first; the third is revoked."""
    made = [
        platform.issue(name, now=platform.now + timedelta(seconds=number)).serial_number
        for number, name in enumerate(NAMES)
    ]
    platform.services.revoke_certificate(
        principal=platform.admin,
        serial_number=made[2],
        reason="superseded",
        now=platform.now + timedelta(seconds=20),
    )
    return made


def found(client: RESTClient, query: str) -> list[str]:
    answer = client.get(f"certificates/?{query}")
    assert answer.status_code == 200, answer.content
    return [row["serial_number"] for row in answer.json()["results"]]


def walk(client: RESTClient, first: str, direction: str) -> list[list[str]]:
    """Return the serial numbers page by page, following the links as a client does."""
    pages = []
    address: str | None = first
    while address:
        body = client.get(address).json()
        pages.append([row["serial_number"] for row in body["results"]])
        address = body[direction]
        if address:
            parts = urlsplit(address)
            assert parts.scheme == "https"
            assert parts.hostname == "pkakey.theddt.localhost"
            assert parts.path == "/api/v1/certificates/"
            address = f"certificates/?{parts.query}"
    return pages


def test_pages_hold_each_certificate_once_newest_first(
    reader: RESTClient, issued: list[str]
) -> None:
    pages = walk(reader, "certificates/?search=list&page_size=3", "next")
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [serial for page in pages for serial in page] == issued[::-1]


def test_the_way_back_shows_the_same_pages(reader: RESTClient, issued: list[str]) -> None:
    first = reader.get("certificates/?search=list&page_size=3").json()
    assert first["previous"] is None
    second = reader.get(f"certificates/?{urlsplit(first['next']).query}").json()
    back = reader.get(f"certificates/?{urlsplit(second['previous']).query}").json()
    assert back["results"] == first["results"]


def test_a_certificate_issued_between_two_pages_moves_nothing(
    reader: RESTClient, platform: Platform
) -> None:
    def issue(number: int) -> str:
        later = platform.now + timedelta(seconds=number)
        serial: str = platform.issue(f"moving{number}.example.test", now=later).serial_number
        return serial

    oldest, _, _ = (issue(number) for number in range(3))
    first = reader.get("certificates/?search=moving&page_size=2").json()
    issue(3)
    second = reader.get(f"certificates/?{urlsplit(first['next']).query}").json()
    assert [row["serial_number"] for row in second["results"]] == [oldest]


def test_the_list_costs_the_same_few_queries_at_every_size(
    reader: RESTClient, issued: list[str]
) -> None:
    def queries(size: int) -> int:
        with CaptureQueriesContext(connection) as seen:
            reader.get(f"certificates/?search=list&page_size={size}")
        return len(seen)

    assert queries(1) == queries(7) <= 6


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name=list4.example.test", [4]),
        ("name=LIST4", []),
        ("search=LIST4.EXAMPLE", [4]),
        ("search=list4&status=valid", [4]),
        ("search=list2&status=revoked", [2]),
        ("search=list2&status=valid", []),
        ("search=list4&status=expired", []),
        ("search=list4&profile=tls-server", [4]),
        ("search=list4&profile=tls-client", []),
        ("search=list4&authority=00000000-0000-4000-8000-000000000000", []),
        ("search=list4&expires_before=2000-01-01T00:00:00Z", []),
        ("search=list4&expires_after=2000-01-01T00:00:00Z", [4]),
        ("search=list4&expires_after=9999-01-01T00:00:00Z", []),
        ("search=list4&issued_after=2000-01-01T00:00:00%2B02:00", [4]),
        ("search=%25", []),
        ("search=list_", []),
        ("search=' OR 1=1 --", []),
    ],
)
def test_filters_narrow_the_list(
    reader: RESTClient, issued: list[str], query: str, expected: list[int]
) -> None:
    assert found(reader, query) == [issued[number] for number in expected]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("status=good", "status"),
        ("page_size=0", "page_size"),
        ("page_size=201", "page_size"),
        ("page_size=-1", "page_size"),
        ("page_size=9999999999999999999999999", "page_size"),
        ("page_size=%D9%A3", "page_size"),
        ("authority=x", "authority"),
        ("expires_before=tomorrow", "expires_before"),
        ("expires_after=2030-01-01", "expires_after"),
        ("issued_after=2030-01-01T00:00:00", "issued_after"),
        ("search=", "search"),
        ("search=a%00b", "search"),
        ("search=" + "a" * 256, "search"),
        ("search=a&search=b", "search"),
        ("serach=a", "serach"),
        ("profile=%00", "profile"),
    ],
)
def test_a_query_that_cannot_be_read_is_refused_by_name(
    reader: RESTClient, query: str, name: str
) -> None:
    errors = problem(reader.get(f"certificates/?{query}"), 400, "request.invalid")["errors"]
    assert [error["name"] for error in errors] == [name]


@pytest.mark.parametrize(
    "cursor", ["x", "%FF%FF", "AAAA", "bnVsbA", "W10", "WzEsIngiLCJ5Il0", "a" * 255, "%ED%A0%80"]
)
def test_a_cursor_that_no_page_gave_out_is_refused(reader: RESTClient, cursor: str) -> None:
    problem(reader.get(f"certificates/?cursor={cursor}"), 400, "cursor.malformed")


# One of them


def test_a_certificate_is_shown_with_its_chain_and_extensions_in_words(
    reader: RESTClient, issued: list[str]
) -> None:
    body = reader.get(f"certificates/{issued[0]}/").json()
    assert body["status"] == "valid"
    assert body["serial_number"] == issued[0]
    assert len(body["chain"]) == 2
    words = {one["name"]: one for one in body["extensions"]}
    assert any("list0.example.test" in line for one in words.values() for line in one["text"])
    assert any(one["critical"] for one in body["extensions"])


def test_a_revoked_certificate_says_when_and_why(reader: RESTClient, issued: list[str]) -> None:
    body = reader.get(f"certificates/{issued[2]}/").json()
    assert (body["status"], body["revocation_reason"]) == ("revoked", "superseded")
    assert body["revoked_at"].endswith("Z")


@pytest.mark.parametrize(
    "serial", ["0", "7f", "ABCDEF", "0x7f", "00ab", "x", "%00", "a" * 41, "..", "%F0%9F%98%80"]
)
def test_a_serial_that_is_not_ours_is_not_found(reader: RESTClient, serial: str) -> None:
    problem(reader.get(f"certificates/{serial}/"), 404, "resource.not-found")
    problem(reader.get(f"certificates/{serial}/pem"), 404, "resource.not-found")


def test_the_upper_case_form_of_a_serial_is_not_found(
    reader: RESTClient, issued: list[str]
) -> None:
    one = next(serial for serial in issued if serial.upper() != serial)
    problem(reader.get(f"certificates/{one.upper()}/"), 404, "resource.not-found")


# Downloads


def read_download(answer: Any, form: str) -> list[x509.Certificate]:
    if form == "der":
        return [x509.load_der_x509_certificate(answer.content)]
    if form == "pkcs7":
        return pkcs7.load_der_pkcs7_certificates(answer.content)
    return x509.load_pem_x509_certificates(answer.content)


@pytest.mark.parametrize(
    ("form", "kind", "suffix", "length"),
    [
        ("pem", "application/x-pem-file", "pem", 1),
        ("der", "application/pkix-cert", "cer", 1),
        ("chain", "application/pem-certificate-chain", "chain.pem", 3),
        ("pkcs7", "application/x-pkcs7-certificates", "p7b", 3),
    ],
)
def test_every_download_parses_and_has_its_type_and_name(
    reader: RESTClient, issued: list[str], form: str, kind: str, suffix: str, length: int
) -> None:
    answer = reader.get(f"certificates/{issued[0]}/{form}")
    assert answer.headers["Content-Type"] == kind
    expected = f'attachment; filename="{issued[0]}.{suffix}"'
    assert answer.headers["Content-Disposition"] == expected
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    certificates = read_download(answer, form)
    assert len(certificates) == length
    assert issued[0] in {f"{one.serial_number:x}" for one in certificates}


@pytest.mark.parametrize("form", ["pem", "der", "chain", "pkcs7"])
def test_every_authority_download_parses(reader: RESTClient, form: str) -> None:
    for authority in reader.get("authorities/").json()["results"]:
        answer = reader.get(f"authorities/{authority['id']}/{form}")
        certificates = read_download(answer, form)
        numbers = {f"{one.serial_number:x}" for one in certificates}
        assert authority["serial_number"] in numbers


@pytest.mark.parametrize("form", ["p12", "key", "PEM", "pem/", "", "der%00"])
def test_other_forms_are_not_found(reader: RESTClient, issued: list[str], form: str) -> None:
    answer = reader.get(f"certificates/{issued[0]}/{form}")
    assert answer.status_code == (200 if form == "" else 404)


# Authorities and profiles


def test_authorities_are_listed_and_shown(reader: RESTClient, platform: Platform) -> None:
    listed = reader.get("authorities/").json()["results"]
    by_id = {one["id"]: one for one in listed}
    issuing = by_id[str(platform.issuing_id)]
    assert issuing["parent"] == str(platform.root_id)
    shown = reader.get(f"authorities/{platform.issuing_id}/").json()
    assert {key: shown[key] for key in issuing} == issuing
    chain = [x509.load_pem_x509_certificate(pem.encode()) for pem in shown["chain"]]
    x509.load_pem_x509_certificate(shown["pem"].encode()).verify_directly_issued_by(chain[0])


def test_profiles_are_listed_and_shown(reader: RESTClient) -> None:
    listed = reader.get("profiles/").json()["results"]
    assert {"tls-server", "tls-client"} <= {one["name"] for one in listed}
    for one in listed:
        assert reader.get(f"profiles/{one['name']}/").json() == one


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("authorities/00000000-0000-4000-8000-000000000000/", "resource.not-found"),
        ("authorities/00000000-0000-4000-8000-000000000000/pem", "resource.not-found"),
        ("authorities/x/", "path.not-found"),
        ("profiles/none/", "resource.not-found"),
        ("profiles/%00/", "resource.not-found"),
        ("profiles", "path.not-found"),
        ("certificates", "path.not-found"),
        ("", "path.not-found"),
        ("../../etc/passwd", "path.not-found"),
        ("nothing/at/all", "path.not-found"),
    ],
)
def test_what_is_not_there_is_a_problem_too(reader: RESTClient, path: str, code: str) -> None:
    problem(reader.get(path), 404, code)


# Another namespace


def test_another_namespace_sees_and_revokes_nothing_of_ours(
    guest: RESTClient, issued: list[str]
) -> None:
    assert found(guest, "search=list") == []
    problem(guest.get(f"certificates/{issued[0]}/"), 404, "resource.not-found")
    problem(guest.get(f"certificates/{issued[0]}/pem"), 404, "resource.not-found")
    answer = guest.post(f"certificates/{issued[0]}/revoke/", {"reason": "keyCompromise"})
    problem(answer, 404, "resource.not-found")


def test_another_namespace_has_certificates_of_its_own(
    guest: RESTClient, reader: RESTClient
) -> None:
    own = guest.issue("guest.example.test")
    assert found(guest, "search=guest.example") == [own["serial_number"]]
    assert found(reader, "search=guest.example") == []
