"""Who may enter: tokens, sessions, and what each is refused."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from pkakey_engine.testing import make_csr
from pkakey_signers.errors import SignerUnavailable

from PKaKey.server.tests.conftest import Platform
from PKaKey.server.tests.fronts.rest.rest_client import HOST, RESTClient, SiteClient, problem

# Every address with every method that it knows.
ADDRESSES = [
    ("GET", "certificates/"),
    ("POST", "certificates/"),
    ("GET", "certificates/7f/"),
    ("GET", "certificates/7f/pem"),
    ("POST", "certificates/7f/revoke/"),
    ("GET", "authorities/"),
    ("GET", "authorities/00000000-0000-4000-8000-000000000000/"),
    ("GET", "authorities/00000000-0000-4000-8000-000000000000/der"),
    ("GET", "profiles/"),
    ("GET", "profiles/tls-server/"),
    ("GET", "tokens/"),
    ("POST", "tokens/"),
    ("DELETE", "tokens/00000000-0000-4000-8000-000000000000/"),
]


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_nothing_is_open_without_a_token(anonymous: RESTClient, method: str, path: str) -> None:
    problem(anonymous.send(method, path, b"{}"), 401, "token.missing")


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_a_token_of_another_scope_opens_nothing(
    client_with: Callable[..., RESTClient], method: str, path: str
) -> None:
    client = client_with("dashboard:gateway")
    problem(client.send(method, path, b"{}"), 403, "permission.denied")


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("", "token.malformed"),
        ("Bearer", "token.malformed"),
        ("Bearer ", "token.malformed"),
        ("Basic YTpi", "token.malformed"),
        ("Token x", "token.malformed"),
        ("Bearer a b", "token.malformed"),
        ("Bearer a,Bearer b", "token.malformed"),
        ("Bearer é", "token.malformed"),
        ("Bearer " + "a" * 8193, "token.malformed"),
        ("Bearer x", "token.unknown"),
        ("Bearer ddt_" + "A" * 43, "token.unknown"),
        ("bearer ddt_" + "A" * 43, "token.unknown"),
        ("Bearer ddt_" + "A" * 42, "token.unknown"),
    ],
)
def test_a_token_that_is_none_is_refused(anonymous: RESTClient, field: str, code: str) -> None:
    answer = anonymous.get("certificates/", Authorization=field)
    problem(answer, 401, code)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_an_expired_token_is_refused(client_with: Callable[..., RESTClient]) -> None:
    past = datetime.now(tz=UTC) - timedelta(days=2)
    client = client_with("certificates:read", now=past, expires_at=past + timedelta(days=1))
    problem(client.get("certificates/"), 401, "token.expired")


def test_a_revoked_token_is_refused_at_once(officer: RESTClient) -> None:
    made = officer.post("tokens/", {"name": "short", "scopes": ["certificates:read"]}).json()
    client = RESTClient(made["token"])
    assert client.get("certificates/").status_code == 200
    assert officer.send("DELETE", f"tokens/{made['id']}/").status_code == 204
    problem(client.get("certificates/"), 401, "token.revoked")


def test_the_expired_or_unknown_issues_nothing(
    client_with: Callable[..., RESTClient], count: Callable[[], int]
) -> None:
    before = count()
    past = datetime.now(tz=UTC) - timedelta(days=2)
    expired = client_with("certificates:issue", now=past, expires_at=past + timedelta(days=1))
    body = {"csr": make_csr(dns=["no.example.test"]).decode(), "profile": "tls-server"}
    problem(expired.post("certificates/", body), 401, "token.expired")
    problem(RESTClient("ddt_" + "A" * 43).post("certificates/", body), 401, "token.unknown")
    assert count() == before


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("certificates/", "GET, HEAD, POST"),
        ("certificates/7f/", "GET, HEAD"),
        ("certificates/7f/revoke/", "POST"),
        ("tokens/00000000-0000-4000-8000-000000000000/", "DELETE"),
        ("profiles/", "GET, HEAD"),
    ],
)
def test_other_methods_are_refused_and_the_known_ones_named(
    officer: RESTClient, path: str, methods: str
) -> None:
    for method in ("PUT", "PATCH", "TRACE", "OPTIONS", "BREW"):
        answer = officer.send(method, path)
        problem(answer, 405, "method.not-allowed")
        assert answer.headers["Allow"] == methods


# Tokens


def test_a_token_is_shown_once_and_listed_without_its_secret(officer: RESTClient) -> None:
    answer = officer.post("tokens/", {"name": "build", "scopes": ["certificates:read"]})
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    made = answer.json()
    assert made["token"].startswith("ddt_")
    listed = officer.get("tokens/")
    [row] = [row for row in listed.json()["results"] if row["id"] == made["id"]]
    assert row["scopes"] == ["certificates:read"]
    assert made["token"] not in listed.content.decode()


def test_a_token_makes_no_token_with_more_rights_than_its_own(officer: RESTClient) -> None:
    body = {"name": "more", "scopes": ["authorities:manage"]}
    problem(officer.post("tokens/", body), 403, "permission.denied")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "request.invalid"),
        ({"name": "x", "scopes": []}, 400, "request.invalid"),
        ({"name": "x", "scopes": "certificates:read"}, 400, "request.invalid"),
        ({"name": "x", "scopes": [7]}, 400, "request.invalid"),
        ({"name": "x", "scopes": [["certificates:read"]]}, 400, "request.invalid"),
        ({"name": "x", "scopes": ["all"]}, 400, "request.invalid"),
        ({"name": "", "scopes": ["certificates:read"]}, 400, "request.invalid"),
        ({"name": "x" * 256, "scopes": ["certificates:read"]}, 400, "request.invalid"),
        ({"name": "x\x00", "scopes": ["certificates:read"]}, 400, "request.invalid"),
        ({"name": "x", "scopes": ["certificates:read"], "expires_at": 7}, 400, "request.invalid"),
        ({"name": "x", "scopes": ["certificates:read"], "expires_at": "x"}, 400, "request.invalid"),
        (
            {"name": "x", "scopes": ["certificates:read"], "expires_at": "2000-01-01T00:00:00Z"},
            422,
            "token.expiry",
        ),
        (
            {"name": "x", "scopes": ["certificates:read"], "expires_at": "9999-01-01T00:00:00Z"},
            422,
            "token.expiry",
        ),
        ({"name": " ", "scopes": ["certificates:read"]}, 422, "token.name"),
        ({"name": "a\nb", "scopes": ["certificates:read"]}, 422, "token.name"),
    ],
)
def test_a_token_that_cannot_be_is_not_made(
    officer: RESTClient, body: object, status: int, code: str
) -> None:
    before = len(officer.get("tokens/").json()["results"])
    problem(officer.post("tokens/", body), status, code)
    assert len(officer.get("tokens/").json()["results"]) == before


def test_another_namespaces_token_cannot_be_revoked(officer: RESTClient, guest: RESTClient) -> None:
    made = officer.post("tokens/", {"name": "ours", "scopes": ["certificates:read"]}).json()
    problem(guest.send("DELETE", f"tokens/{made['id']}/"), 404, "resource.not-found")
    assert RESTClient(made["token"]).get("certificates/").status_code == 200


# A signed-in browser


@pytest.fixture
def person(platform: Platform) -> Any:
    """An officer with a changed password."""
    name = f"grace-{datetime.now(tz=UTC).timestamp()}"
    platform.services.create_user(
        username=name,
        email=f"{name}@example.test",
        roles=["pki-officer"],
        namespace="default",
        now=platform.now,
    )
    user = get_user_model().objects.get(username=name)
    user.must_change_password = False
    user.save()
    return user


def browser(user: Any, *, enforce_csrf: bool = True) -> RESTClient:
    http = SiteClient(enforce_csrf_checks=enforce_csrf)
    http.force_login(user)
    return RESTClient(http=http)


def test_a_signed_in_person_reads_by_their_session(person: Any) -> None:
    assert browser(person).get("certificates/").status_code == 200


def test_a_change_by_a_session_needs_the_csrf_token(person: Any, count: Callable[[], int]) -> None:
    before = count()
    body = {"csr": make_csr(dns=["csrf.example.test"]).decode(), "profile": "tls-server"}
    problem(browser(person).post("certificates/", body), 403, "session.csrf")
    assert count() == before


def test_a_change_by_a_session_with_the_csrf_token_passes(person: Any) -> None:
    from django.conf import settings
    from django.middleware.csrf import _get_new_csrf_string

    client = browser(person)
    secret = _get_new_csrf_string()
    client.http.cookies[settings.CSRF_COOKIE_NAME] = secret
    body = {"csr": make_csr(dns=["csrf.example.test"]).decode(), "profile": "tls-server"}
    headers = {"X-CSRFToken": secret, "Referer": f"https://{HOST}/portal/"}
    assert client.post("certificates/", body, **headers).status_code == 201


def test_before_the_password_is_changed_nothing_is_allowed(person: Any) -> None:
    person.must_change_password = True
    person.save()
    client = browser(person)
    for path in ("certificates/", "authorities/", "profiles/", "tokens/"):
        problem(client.get(path), 403, "password.must-change")


def test_a_bad_token_does_not_fall_back_to_the_session(person: Any) -> None:
    answer = browser(person).get("certificates/", Authorization="Bearer x")
    problem(answer, 401, "token.unknown")


def test_a_token_gets_the_strictest_headers_and_no_session(
    officer: RESTClient, anonymous: RESTClient
) -> None:
    answers = [officer.get("certificates/"), anonymous.get("certificates/", Authorization="no")]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert policy == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["X-Request-ID"]
        assert not answer.cookies
    assert [answer.status_code for answer in answers] == [200, 401]


def test_an_auditor_reads_and_issues_nothing(platform: Platform, person: Any) -> None:
    from django.contrib.auth.models import Group

    person.groups.set([Group.objects.get(name="pki-auditor")])
    client = browser(person, enforce_csrf=False)
    assert client.get("certificates/").status_code == 200
    body = {"csr": "x", "profile": "tls-server"}
    problem(client.post("certificates/", body), 403, "permission.denied")


# When a part is away


def test_without_the_signer_issuing_is_to_be_repeated(
    officer: RESTClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> bytes:
        raise SignerUnavailable("socket /secret/place")

    key = {"Idempotency-Key": "while-the-signer-is-away"}
    body = {"csr": make_csr(dns=["away.example.test"]).decode(), "profile": "tls-server"}
    with monkeypatch.context() as patch:
        patch.setattr(type(platform.services.outside.signer), "sign", away)
        answer = officer.post("certificates/", body, **key)
        said = problem(answer, 503, "service.unavailable")
        assert "/secret" not in said["detail"]
        assert answer.headers["Retry-After"]
    again = officer.post("certificates/", body, **key)
    assert again.status_code == 201
    assert again.headers["Idempotency-Replayed"] == "true"


def test_what_nobody_expected_is_500_with_a_reference_only(
    officer: RESTClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(type(platform.services), "issue_certificate", broken)
    answer = officer.post("certificates/", {"csr": "x", "profile": "tls-server"})
    body = problem(answer, 500, "internal")
    assert body["reference"] in body["detail"]
    assert b"hunter2" not in answer.content
