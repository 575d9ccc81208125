"""Issuing over REST: what comes back, what is refused, and that nothing else is stored."""

import dataclasses
import hashlib
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from pkakey.config import wiring
from pkakey.config.weak_keys import read_weak_keys
from pkakey.services import Services
from pkakey_engine.testing import generate_key, make_csr

from PKaKey.server.tests.fronts.rest.rest_client import RESTClient, problem

Count = Callable[[], int]


def test_a_csr_becomes_a_certificate_with_its_chain_and_links(officer: RESTClient) -> None:
    csr = make_csr(dns=["web.example.test", "www.example.test"]).decode()
    answer = officer.post("certificates/", {"csr": csr, "profile": "tls-server"})
    assert answer.status_code == 201
    body = answer.json()
    certificate = x509.load_pem_x509_certificate(body["pem"].encode())
    assert body["serial_number"] == f"{certificate.serial_number:x}"
    assert body["profile"] == "tls-server"
    assert {"kind": "dns", "value": "www.example.test"} in body["names"]
    assert body["not_after"].endswith("Z")
    not_after = datetime.fromisoformat(body["not_after"])
    assert not_after == certificate.not_valid_after_utc
    chain = [x509.load_pem_x509_certificate(pem.encode()) for pem in body["chain"]]
    certificate.verify_directly_issued_by(chain[0])
    chain[0].verify_directly_issued_by(chain[-1])
    assert chain[-1].subject == chain[-1].issuer
    assert answer.headers["Location"] == body["links"]["self"]
    assert body["links"]["self"] == (
        f"https://pkakey.theddt.localhost/api/v1/certificates/{body['serial_number']}/"
    )


def test_an_authority_may_be_named(officer: RESTClient) -> None:
    listed = officer.get("authorities/").json()["results"]
    [default] = [one for one in listed if one["is_default"]]
    csr = make_csr(dns=["named.example.test"]).decode()
    body = {"csr": csr, "profile": "tls-server", "authority": default["id"]}
    answer = officer.post("certificates/", body)
    assert answer.status_code == 201
    assert answer.json()["authority"] == default["id"]


def test_an_authority_that_is_not_ours_is_not_found(officer: RESTClient, count: Count) -> None:
    before = count()
    csr = make_csr(dns=["web.example.test"]).decode()
    body = {"csr": csr, "profile": "tls-server", "authority": str(uuid4())}
    problem(officer.post("certificates/", body), 404, "resource.not-found")
    assert count() == before


def weak_csr() -> str:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505  # The weak key is the case.
    return make_csr(dns=["weak.example.test"], private_key=key).decode()


def flipped_signature() -> str:
    der = bytearray(make_csr(dns=["broken.example.test"], pem=False))
    der[-1] ^= 1
    return x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM).decode()


def mislabelled_csr() -> str:
    return make_csr(dns=["x"], pem=True).decode().replace("BEGIN CERTIFICATE REQUEST", "BEGIN X")


@pytest.mark.parametrize(
    ("csr", "status", "code"),
    [
        pytest.param(lambda: "x", 400, "csr.malformed", id="a letter"),
        pytest.param(
            lambda: make_csr(dns=["t.example.test"]).decode()[:200], 400, "csr.malformed",
            id="truncated",
        ),
        pytest.param(
            lambda: random.Random(7).randbytes(500).decode("latin-1").replace("\x00", "0"),  # noqa: S311
            400, "csr.malformed", id="random octets",
        ),
        pytest.param(mislabelled_csr, 400, "csr.malformed", id="another PEM label"),
        pytest.param(flipped_signature, 422, "csr.bad-signature", id="a broken signature"),
        pytest.param(weak_csr, 422, "key.too-small", id="a 1024-bit key"),
        pytest.param(
            lambda: make_csr().decode(), 422, "name.missing", id="no name"
        ),
        pytest.param(
            lambda: make_csr(dns=["-bad-.example.test"]).decode(), 422, "name.malformed-dns",
            id="a name that is no DNS name",
        ),
        pytest.param(
            lambda: make_csr(dns=["a.*.example.test"]).decode(), 422, "name.wildcard",
            id="a wildcard inside",
        ),
    ],
)  # fmt: skip
def test_a_bad_csr_is_refused_by_its_own_code_and_nothing_is_stored(
    officer: RESTClient, count: Count, csr: Callable[[], str], status: int, code: str
) -> None:
    before = count()
    answer = officer.post("certificates/", {"csr": csr(), "profile": "tls-server"})
    problem(answer, status, code)
    assert count() == before


@pytest.mark.parametrize(
    ("body", "names"),
    [
        pytest.param({}, {"csr", "profile"}, id="nothing"),
        pytest.param({"csr": "x"}, {"profile"}, id="no profile"),
        pytest.param({"csr": "", "profile": "tls-server"}, {"csr"}, id="an empty CSR"),
        pytest.param({"csr": "A" * 65_537, "profile": "p"}, {"csr"}, id="a huge CSR"),
        pytest.param({"csr": "a\x00b", "profile": "p"}, {"csr"}, id="a NUL in the CSR"),
        pytest.param({"csr": "x", "profile": "tls\x00"}, {"profile"}, id="a NUL in the profile"),
        pytest.param({"csr": 7, "profile": ["p"]}, {"csr", "profile"}, id="other kinds"),
        pytest.param({"csr": None, "profile": None}, {"csr", "profile"}, id="null"),
        pytest.param({"csr": "x", "profile": "p" * 256}, {"profile"}, id="an endless profile"),
        pytest.param({"csr": "x", "profile": "p", "is_ca": True}, {"is_ca"}, id="an unknown field"),
        pytest.param(
            {"csr": "x", "profile": "p", "authority": "root"}, {"authority"}, id="no UUID"
        ),
    ],
)
def test_fields_that_cannot_be_read_are_all_named(
    officer: RESTClient, count: Count, body: object, names: set[str]
) -> None:
    before = count()
    errors = problem(officer.post("certificates/", body), 400, "request.invalid")["errors"]
    assert {error["name"] for error in errors} == names
    assert count() == before


@pytest.mark.parametrize("profile", ["no-such-profile", "TLS-SERVER", "tls-server ", "../root"])
def test_an_unknown_profile_is_refused(officer: RESTClient, count: Count, profile: str) -> None:
    before = count()
    csr = make_csr(dns=["web.example.test"]).decode()
    answer = officer.post("certificates/", {"csr": csr, "profile": profile})
    problem(answer, 422, "profile.unknown")
    assert count() == before


@pytest.mark.parametrize("profile", ["root-ca", "issuing-ca", "ocsp-signer"])
def test_the_platforms_own_profiles_are_not_for_requests(
    officer: RESTClient, count: Count, profile: str
) -> None:
    before = count()
    csr = make_csr(dns=["web.example.test"]).decode()
    answer = officer.post("certificates/", {"csr": csr, "profile": profile})
    problem(answer, 422, "profile.not-applicable")
    assert count() == before


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "body.not-json"),
        (b"[1]", "application/json", 400, "body.not-an-object"),
        (b"\xff\xfe", "application/json", 400, "body.not-utf8"),
        (rb'{"csr": "\ud800"}', "application/json", 400, "body.not-utf8"),
        (b'{"csr": "a", "csr": "b"}', "application/json", 400, "body.not-json"),
        (b"[" * 100_000, "application/json", 400, "body.not-json"),
        (b" " * (1024 * 1024 + 1), "application/json", 413, "body.too-large"),
        (b"csr=x", "application/x-www-form-urlencoded", 415, "body.media-type"),
        (b"--x--", "multipart/form-data; boundary=x", 415, "body.media-type"),
        (b"<a/>", "text/xml", 415, "body.media-type"),
        (b"x", "nonsense", 415, "body.media-type"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_refused(
    officer: RESTClient, count: Count, body: bytes, content_type: str, status: int, code: str
) -> None:
    before = count()
    problem(officer.send("POST", "certificates/", body, content_type), status, code)
    assert count() == before


# Idempotency


def test_the_same_key_and_request_get_the_same_certificate(
    officer: RESTClient, count: Count
) -> None:
    csr = make_csr(dns=["once.example.test"]).decode()
    body = {"csr": csr, "profile": "tls-server"}
    key = {"Idempotency-Key": str(uuid4())}
    before = count()
    first = officer.post("certificates/", body, **key)
    again = officer.post("certificates/", body, **key)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert count() == before + 1


def test_the_same_key_with_another_request_is_refused(officer: RESTClient, count: Count) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    officer.issue("first.example.test", **key)
    before = count()
    other = make_csr(dns=["other.example.test"]).decode()
    answer = officer.post("certificates/", {"csr": other, "profile": "tls-server"}, **key)
    problem(answer, 422, "idempotency.key-reused")
    assert count() == before


@pytest.mark.parametrize("key", ["", " ", "a b", "a" * 256, "é", "a\tb"])
def test_a_malformed_key_is_refused(officer: RESTClient, count: Count, key: str) -> None:
    before = count()
    csr = make_csr(dns=["web.example.test"]).decode()
    answer = officer.post(
        "certificates/", {"csr": csr, "profile": "tls-server"}, **{"Idempotency-Key": key}
    )
    problem(answer, 400, "idempotency.key-malformed")
    assert count() == before


# Who asks


def test_without_a_token_nothing_is_read_or_issued(anonymous: RESTClient, count: Count) -> None:
    before = count()
    answer = anonymous.post("certificates/", {"csr": "x", "profile": "tls-server"})
    problem(answer, 401, "token.missing")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="theDDT"'
    assert count() == before


def test_a_token_without_the_scope_issues_nothing(reader: RESTClient, count: Count) -> None:
    before = count()
    csr = make_csr(dns=["web.example.test"]).decode()
    answer = reader.post("certificates/", {"csr": csr, "profile": "tls-server"})
    problem(answer, 403, "permission.denied")
    assert count() == before


def test_every_key_algorithm_of_the_profile_is_issued(officer: RESTClient) -> None:
    for algorithm in ("ecdsa-p256", "ecdsa-p384", "rsa-2048", "ed25519"):
        csr = make_csr(dns=["key.example.test"], private_key=generate_key(algorithm)).decode()
        answer = officer.post("certificates/", {"csr": csr, "profile": "tls-server"})
        assert answer.status_code == 201, (algorithm, answer.content)


def test_the_validity_is_never_in_the_past(officer: RESTClient) -> None:
    issued = officer.issue("time.example.test")
    now = datetime.now(tz=UTC)
    assert datetime.fromisoformat(issued["not_before"]) <= now
    assert datetime.fromisoformat(issued["not_after"]) > now + timedelta(days=1)


def test_a_listed_key_gets_no_certificate_and_nothing_is_stored(
    officer: RESTClient, count: Count, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bad, good = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    text = f"Modulus={bad.public_key().public_numbers().n:X}\n"
    file = tmp_path / "list"
    file.write_text(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[20:])
    outside: Any = dataclasses.replace(wiring.services().outside, weak_keys=read_weak_keys(file))
    monkeypatch.setattr(wiring, "services", lambda: Services(outside))
    before = count()

    def ask(key: rsa.RSAPrivateKey) -> Any:
        csr = make_csr(dns=["listed.example.test"], private_key=key).decode()
        return officer.post("certificates/", {"csr": csr, "profile": "tls-server"})

    problem(ask(bad), 422, "key.debian-weak")
    assert count() == before
    assert ask(good).status_code == 201
