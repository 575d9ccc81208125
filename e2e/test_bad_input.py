"""Bad input on the command, on REST and in the portal: a clear error, no 500, nothing stored.

The audit log is counted too: a refused request must not leave a trace that looks like an act.
"""

import base64
import html
import json
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from e2e.native_platform import Platform, make_csr, openssl
from e2e.portal import Portal

pytestmark = pytest.mark.platform

NEW, PREVIEW = "/portal/certificates/new/", "/portal/certificates/preview/"
KEYS = Path(__file__).parents[1] / "PKaKey" / "engine" / "tests" / "vectors" / "keys" / "rsa.json"
EVERYTHING = ("certificates:read", "certificates:issue", "certificates:revoke")


def broken_signature(folder: Path) -> bytes:
    """Return a request whose signature has one bit turned, its encoding intact."""
    _, csr = make_csr(folder, "broken.example.test")
    der = bytearray(as_der(csr))
    der[-1] ^= 1
    return as_pem(bytes(der))


def with_a_roca_key(folder: Path) -> bytes:
    """Return a request whose RSA key has the fingerprint of CVE-2017-15361."""
    _, csr = make_csr(folder, "roca.example.test", key="rsa")
    der = as_der(csr)
    own = x509.load_der_x509_csr(der).public_key().public_numbers().n  # type: ignore[union-attr]
    [vector] = [one for one in json.loads(KEYS.read_text()) if one["refusal"] == "key.roca"]
    return as_pem(der.replace(own.to_bytes(256, "big"), bytes.fromhex(vector["modulus"])))


def with_a_known_key() -> bytes:
    """Return a request by the private key 1, which everybody knows."""
    key = ec.derive_private_key(1, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "known.example.test")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    request = builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName("known.example.test")]), critical=False
    ).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def as_der(csr: Path) -> bytes:
    openssl("req", "-in", csr, "-outform", "DER", "-out", csr.with_suffix(".der"))
    return csr.with_suffix(".der").read_bytes()


def as_pem(der: bytes) -> bytes:
    body = base64.encodebytes(der)
    label = b"CERTIFICATE REQUEST-----\n"
    return b"-----BEGIN " + label + body + b"-----END " + label


@pytest.fixture(scope="module")
def bad_requests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, str]]:
    """Each kind of bad request, and the code that its refusal has where the platform sees it."""
    folder = tmp_path_factory.mktemp("bad")
    _, good = make_csr(folder, "bad.example.test")
    _, weak = make_csr(folder, "weak.example.test", key="weak")
    lines = good.read_text().splitlines()
    middle = len(lines) // 2
    flipped = lines[middle][:10] + ("A" if lines[middle][10] != "A" else "B") + lines[middle][11:]
    return {
        "empty": (b"", ""),
        "huge": (b"-----BEGIN CERTIFICATE REQUEST-----\n" + b"A" * 300_000, ""),
        "truncated": (good.read_bytes()[:200], "csr.malformed"),
        # A repeatable vector, not a secret.
        "random bytes": (random.Random(7).randbytes(500), ""),  # noqa: S311
        "damaged": ("\n".join([*lines[:middle], flipped, *lines[middle + 1 :]]).encode(), ""),
        "a broken signature": (broken_signature(folder), "csr.bad-signature"),
        "a key of 1,024 bits": (weak.read_bytes(), "key.too-small"),
        "a ROCA key": (with_a_roca_key(folder), "key.roca"),
        "a key that everybody knows": (with_a_known_key(), "key.known-compromised"),
    }


def assert_is_said_well(said: str, code: str, kind: str) -> None:
    assert "Traceback" not in said, kind
    assert code in said, (kind, said)
    assert "." in said, (kind, said)


def issue(
    platform: Platform, folder: Path, csr: bytes, *words: str, token: str = ""
) -> tuple[int, str]:
    """Ask for a certificate by the command; return its exit code and what it said."""
    file, out = folder / "asked.csr", folder / "never.pem"
    file.write_bytes(csr)
    result = platform.ddt(
        "issue", "--csr", file, "--profile", "tls-server", "--out", out, *words,
        check=False, token=token,
    )  # fmt: skip
    assert out.exists() == (result.returncode == 0)
    return result.returncode, result.stdout + result.stderr


def ask(
    platform: Platform, path: str, token: str, body: dict[str, str] | None, folder: Path
) -> tuple[int, dict[str, str]]:
    """Call REST with curl; return the status and the document."""
    file = folder / "body.json"
    file.write_text(json.dumps(body))
    options = ["-H", "Content-Type: application/json", "-d", f"@{file}"] if body is not None else []
    answer = platform.curl(
        f"{platform.portal}/api/v1/{path}", "-H", f"Authorization: Bearer {token}", *options,
        "-w", "\n%{http_code}",
    )  # fmt: skip
    text, _, status = answer.stdout.rpartition("\n")
    try:
        return int(status), json.loads(text)
    except json.JSONDecodeError:
        return int(status), {}


def refusal_in(page: str) -> str:
    """Return the refusal that a page shows, as text; empty when it shows none."""
    found = re.search(r'<p class="errors"[^>]*>(.*?)</p>', page) or re.search(
        r'<div class="notice bad"[^>]*>\s*<p>(.*?)</p>', page
    )
    return html.unescape(re.sub("<[^>]+>", "", found[1])) if found else ""


@pytest.fixture(scope="module")
def officer(platform: Platform) -> Iterator[Portal]:
    """A person of the default namespace who may issue and revoke."""
    portal = Portal(platform)
    portal.sign_in("olga", platform.person("olga", "pki-officer"))
    yield portal
    portal.http.close()


@dataclass
class Fenced:
    """A namespace of its own, whose authority may certify names below inside.test only."""

    portal: Portal
    token: str


@pytest.fixture(scope="module")
def fenced(platform: Platform) -> Iterator[Fenced]:
    """A namespace with constraints, a person in it, and a token that they made in the portal."""
    platform.ddt("manage", "create_namespace", "fenced")
    manage = ("manage", "create_authority", "--namespace", "fenced")
    root = platform.ddt(*manage, "Fenced Root").stdout.strip()
    platform.ddt(*manage, "Fenced CA", "--parent", root, "--permit", "dns:inside.test", "--default")
    portal = Portal(platform)
    portal.sign_in("fred", platform.person("fred", "pki-officer", namespace="fenced"))
    form: dict[str, str] = {"name": "e2e", "days": "1", "scope": list(EVERYTHING)}  # type: ignore[dict-item]
    page = portal.post("/portal/tokens/", form).text
    found = re.search(r'<p class="secret"[^>]*>(ddt_[^<]+)</p>', page)
    assert found is not None
    yield Fenced(portal, found[1])
    portal.http.close()


@pytest.fixture(scope="module")
def expired_token(platform: Platform) -> str:
    """A token whose time has passed."""
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=20)
    words = [word for scope in EVERYTHING for word in ("--scope", scope)]
    token = platform.ddt(
        "token", "create", "--name", "short", *words, "--expires", ends.isoformat()
    ).stdout.strip()
    while datetime.now(UTC) <= ends:
        time.sleep(0.5)
    return token


def test_the_command_refuses_every_bad_request_in_a_sentence(
    platform: Platform, tmp_path: Path, bad_requests: dict[str, tuple[bytes, str]]
) -> None:
    before = platform.count()
    for kind, (content, code) in bad_requests.items():
        status, said = issue(platform, tmp_path, content)
        assert status == 1, kind
        assert_is_said_well(said, code, kind)
    assert platform.count() == before


def test_rest_answers_every_bad_request_with_a_problem(
    platform: Platform, tmp_path: Path, bad_requests: dict[str, tuple[bytes, str]]
) -> None:
    token = platform.token("certificates:issue")
    before = platform.count()
    for kind, (content, code) in bad_requests.items():
        body = {"csr": content.decode("latin-1"), "profile": "tls-server"}
        status, problem = ask(platform, "certificates/", token, body, tmp_path)
        assert 400 <= status < 500, (kind, status)
        assert problem["code"], kind
        assert not code or problem["code"] == code, (kind, problem)
        assert problem["detail"].endswith("."), (kind, problem)
    assert platform.count() == before


def test_the_portal_refuses_every_bad_request_beside_the_field(
    platform: Platform, officer: Portal, bad_requests: dict[str, tuple[bytes, str]]
) -> None:
    before = platform.count()
    for kind, (content, code) in bad_requests.items():
        form = {"csr": content.decode("latin-1"), "profile": "tls-server"}
        file = {"csr_file": ("a.csr", content)}
        for act in ("issue", "preview"):
            for answer in (
                officer.post(NEW, form | {"act": act}),
                officer.post(NEW, {"profile": "tls-server", "act": act}, files=file),
            ):
                assert answer.status_code == 400, (kind, act)
                assert_is_said_well(refusal_in(answer.text), code or "csr.", kind)
        live = officer.send(NEW, PREVIEW, form)
        assert live.status_code == 200, kind
        assert_is_said_well(refusal_in(live.text), code or "csr.", kind)
    assert platform.count() == before


def test_a_body_past_every_limit_is_refused_on_rest_and_in_the_portal(
    platform: Platform, tmp_path: Path, officer: Portal
) -> None:
    before = platform.count()
    body = {"csr": "A" * 5_000_000, "profile": "tls-server"}
    status, problem = ask(
        platform, "certificates/", platform.token("certificates:issue"), body, tmp_path
    )
    assert status in {400, 413}, problem
    assert problem["code"]
    assert officer.post(NEW, body).status_code in {400, 413}
    after = platform.count()
    # The token is an act, and the only one.
    assert after.pop("audit_entry") == before.pop("audit_entry") + 1
    assert after == before


def test_a_name_outside_the_issuers_constraints_is_refused_everywhere(
    platform: Platform, tmp_path: Path, fenced: Fenced
) -> None:
    _, outside = make_csr(tmp_path, "www.outside.test")
    form = {"csr": outside.read_text(), "profile": "tls-server"}
    code = "name.outside-constraints"
    before = platform.count()
    status, said = issue(platform, tmp_path, outside.read_bytes(), token=fenced.token)
    assert status == 1
    assert_is_said_well(said, code, "command")
    status, problem = ask(platform, "certificates/", fenced.token, form, tmp_path)
    assert (400 <= status < 500, problem["code"]) == (True, code)
    for act in ("issue", "preview"):
        answer = fenced.portal.post(NEW, form | {"act": act})
        assert answer.status_code == 400
        assert_is_said_well(refusal_in(answer.text), code, act)
    assert code in fenced.portal.send(NEW, PREVIEW, form).text
    assert platform.count() == before

    _, inside = make_csr(tmp_path, "www.inside.test")
    status, said = issue(platform, tmp_path, inside.read_bytes(), token=fenced.token)
    assert status == 0, said


def test_a_foreign_namespace_sees_and_changes_nothing(
    platform: Platform, tmp_path: Path, fenced: Fenced, officer: Portal
) -> None:
    _, csr = make_csr(tmp_path, "ours.example.test")
    answer = officer.post(NEW, {"csr": csr.read_text(), "profile": "tls-server", "act": "issue"})
    place = answer.headers["location"]
    serial_number = place.split("/")[3]
    ours = platform.ddt("manage", "create_authority", "Ours").stdout.strip()
    before = platform.count()

    # REST: to read, to revoke, to issue from an authority of ours.
    status, problem = ask(platform, f"certificates/{serial_number}/", fenced.token, None, tmp_path)
    assert (status, problem["code"]) == (404, "resource.not-found")
    path = f"certificates/{serial_number}/revoke/"
    status, problem = ask(platform, path, fenced.token, {"reason": "superseded"}, tmp_path)
    assert (status, problem["code"]) == (404, "resource.not-found")
    body = {"csr": csr.read_text(), "profile": "tls-server", "authority": ours}
    status, problem = ask(platform, "certificates/", fenced.token, body, tmp_path)
    assert (status, problem["code"]) == (404, "resource.not-found")
    status, listed = ask(platform, "certificates/", fenced.token, None, tmp_path)
    assert status == 200
    assert serial_number not in json.dumps(listed)

    # The command, with that token.
    status, said = issue(
        platform, tmp_path, csr.read_bytes(), "--authority", ours, token=fenced.token
    )
    assert status == 1
    assert_is_said_well(said, "resource.not-found", "issue")
    for words in (["show", serial_number], ["revoke", serial_number, "--reason", "superseded"]):
        result = platform.ddt(*words, check=False, token=fenced.token)
        assert result.returncode == 1
        assert_is_said_well(result.stdout + result.stderr, "resource.not-found", words[0])

    # The portal, as a person of that namespace.
    assert fenced.portal.get(place).status_code == 404
    assert fenced.portal.get(f"{place}revoke/").status_code == 404
    form = {"reason": "superseded"}
    assert fenced.portal.send(NEW, f"{place}revoke/", form).status_code == 404
    assert fenced.portal.get(f"{place}pem").status_code == 404
    assert serial_number not in fenced.portal.get("/portal/certificates/").text
    assert platform.count() == before


def test_an_expired_token_opens_nothing(
    platform: Platform, tmp_path: Path, expired_token: str
) -> None:
    _, csr = make_csr(tmp_path, "late.example.test")
    before = platform.count()
    body = {"csr": csr.read_text(), "profile": "tls-server"}
    status, problem = ask(platform, "certificates/", expired_token, body, tmp_path)
    assert (status, problem["code"]) == (401, "token.expired")
    assert ask(platform, "certificates/", expired_token, None, tmp_path)[0] == 401
    status, said = issue(platform, tmp_path, csr.read_bytes(), token=expired_token)
    assert status == 1
    assert_is_said_well(said, "token.expired", "command")
    assert "DDT_TOKEN" in said
    assert platform.count() == before


def test_the_portal_takes_no_token_for_a_sign_in(
    platform: Platform, expired_token: str, fenced: Fenced
) -> None:
    stranger = Portal(platform)
    for token in (expired_token, fenced.token):
        stranger.http.headers["Authorization"] = f"Bearer {token}"
        for path in ("/portal/", NEW, "/portal/certificates/"):
            answer = stranger.get(path)
            assert answer.status_code == 302
            assert answer.headers["location"].startswith("/accounts/login/")
    stranger.http.close()


@pytest.mark.parametrize("token", ["", "x", "ddt_" + "A" * 43, "é", "a" * 10_000])
def test_an_unknown_token_opens_nothing(platform: Platform, tmp_path: Path, token: str) -> None:
    _, csr = make_csr(tmp_path, "token.example.test")
    before = platform.count()
    body = {"csr": csr.read_text(), "profile": "tls-server"}
    status, problem = ask(platform, "certificates/", token, body, tmp_path)
    assert status in {400, 401, 431}
    assert status != 401 or problem["code"].startswith("token.")
    if token:
        status, said = issue(platform, tmp_path, csr.read_bytes(), token=token)
        assert status == 1
        assert_is_said_well(said, "oken", "command")
    assert platform.count() == before
