"""Problem documents: one kind for each code, and nothing of our inside in any."""

import logging
from collections import Counter
from pathlib import Path

import pkakey.services
import psycopg
import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, UnreadablePostError
from pkakey.fronts.rest.problem_kinds import OTHERS, PROBLEMS, REFUSALS, ProblemKind
from pkakey.fronts.rest.problems import (
    MEDIA_TYPE,
    TYPE_PREFIX,
    InvalidField,
    InvalidFields,
    Problem,
    answer_problem,
    token_problem,
)
from pkakey.services.errors import (
    Conflict,
    NotFound,
    NotPermitted,
    ServiceUnavailable,
    Unauthenticated,
)
from pkakey_engine.errors import Refusal, Refused
from rest_framework import exceptions
from rest_framework.response import Response


def test_every_refusal_of_the_engine_has_a_problem_of_its_own() -> None:
    assert [refusal for refusal, _ in REFUSALS] == list(Refusal)


def test_no_code_and_no_title_is_used_twice() -> None:
    codes = Counter([*(refusal.value for refusal, _ in REFUSALS), *(code for code, _ in OTHERS)])
    titles = Counter(kind.title for kind in PROBLEMS.values())
    assert codes.most_common(1)[0][1] == 1
    assert titles.most_common(1)[0][1] == 1


def test_every_conflict_that_a_request_can_meet_has_a_problem() -> None:
    # The services name their conflicts by text; those that no request reaches stand here.
    out_of_reach = {"namespace.name", "namespace.exists", "user.role", "user.exists"}
    out_of_reach |= {"oidc.not-provider", "oidc.name", "oidc.audience", "oidc.redirect"}
    # By a command only, and by KoolFlows at its internal address.
    out_of_reach |= {"profile.invalid", "request.changed", "request.other-diagram"}
    out_of_reach |= {"request.other-process", "request.not-started", "request.not-waiting"}
    out_of_reach |= {"renewal.revoked", "renewal.needs-approval", "renewal.changed"}
    out_of_reach |= {"grant.other-diagram", "grant.other-namespace", "grant.changed"}
    out_of_reach |= {"grant.until"}
    # Caught by the task that closes what no grant lets through any more.
    out_of_reach |= {"grant.over"}
    out_of_reach |= {"profile.other-diagram", "profile.version", "profile.kind"}
    out_of_reach |= {"authority.other-diagram"}
    folder = Path(pkakey.services.__file__).parent
    raised = set()
    for module in folder.glob("*.py"):
        for part in module.read_text().split("raise Conflict(")[1:]:
            raised.add(part.split('"')[1])
    assert raised
    assert raised - out_of_reach <= PROBLEMS.keys()


@pytest.mark.parametrize("kind", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_every_problem_is_an_error_of_http(kind: ProblemKind) -> None:
    assert 400 <= kind.status <= 503
    assert kind.title
    assert not kind.title.endswith(".")


def answer(error: Exception) -> Response:
    response = answer_problem(error, {})
    assert response.content_type == MEDIA_TYPE
    body = response.data
    assert body["status"] == response.status_code
    assert body["type"] == TYPE_PREFIX + body["code"]
    assert body["instance"].endswith(body["reference"])
    assert body["detail"].endswith(".")
    assert response.headers["Cache-Control"] == "no-store"
    return response


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Refused(Refusal.KEY_TOO_SMALL, "RSA key has 1024 bits."), 422, "key.too-small"),
        (Refused(Refusal.CSR_MALFORMED, "No CSR."), 400, "csr.malformed"),
        (NotPermitted("certificates:issue"), 403, "permission.denied"),
        (NotFound("certificate"), 404, "resource.not-found"),
        (Unauthenticated("token.expired"), 401, "token.expired"),
        (Conflict("idempotency.key-reused", "Another request."), 422, "idempotency.key-reused"),
        (Conflict("something.new", "It is there already."), 409, "something.new"),
        (ServiceUnavailable("signer", "Down."), 503, "service.unavailable"),
        (OperationalError("connection to 10.0.0.1 failed"), 503, "service.unavailable"),
        (InterfaceError("closed"), 503, "service.unavailable"),
        (psycopg.OperationalError("gone"), 503, "service.unavailable"),
        (exceptions.NotAuthenticated(), 401, "token.missing"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method.not-allowed"),
        (exceptions.UnsupportedMediaType("text/html"), 415, "body.media-type"),
        (exceptions.Throttled(wait=7.2), 429, "rate.exceeded"),
        (exceptions.ParseError(), 400, "body.not-json"),
        (exceptions.PermissionDenied(), 403, "permission.denied"),
        (exceptions.NotAcceptable(), 400, "request.refused"),
        (Http404(), 404, "path.not-found"),
        (PermissionDenied(), 403, "permission.denied"),
        (RequestDataTooBig(), 413, "body.too-large"),
        (SuspiciousOperation("evil"), 400, "body.unreadable"),
        (UnreadablePostError(), 400, "body.unreadable"),
        (InvalidFields([InvalidField("csr", "field.missing", "Send it.")]), 400, "request.invalid"),
        (RuntimeError("the password is hunter2"), 500, "internal"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_every_error_becomes_its_problem(error: Exception, status: int, code: str) -> None:
    response = answer(error)
    assert (response.status_code, response.data["code"]) == (status, code)


def test_what_nobody_expected_is_told_by_a_reference_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        response = answer(RuntimeError("the password is hunter2"))
    assert "hunter2" not in str(response.data)
    assert "hunter2" in caplog.text
    assert response.data["reference"] in caplog.text


@pytest.mark.parametrize(
    "error",
    [ServiceUnavailable("signer", "socket /secret/path"), OperationalError("host=10.0.0.1")],
    ids=["signer", "database"],
)
def test_an_absent_part_is_told_without_its_address(error: Exception) -> None:
    response = answer(error)
    assert response.headers["Retry-After"] == "5"
    assert "/secret" not in str(response.data)
    assert "10.0.0.1" not in str(response.data)


@pytest.mark.parametrize(
    ("code", "challenge"),
    [
        ("token.missing", 'Bearer realm="theDDT"'),
        ("token.malformed", 'Bearer realm="theDDT", error="invalid_request"'),
        ("token.expired", 'Bearer realm="theDDT", error="invalid_token"'),
        ("token.revoked", 'Bearer realm="theDDT", error="invalid_token"'),
        ("token.unknown", 'Bearer realm="theDDT", error="invalid_token"'),
    ],
)
def test_every_401_has_the_challenge_of_rfc_6750(code: str, challenge: str) -> None:
    response = answer(token_problem(code))
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == challenge


def test_field_errors_are_listed_by_name() -> None:
    error = InvalidFields([InvalidField("csr", "field.missing", "Send it.")])
    assert answer(error).data["errors"] == [
        {"name": "csr", "code": "field.missing", "detail": "Send it."}
    ]


def test_a_problem_brings_its_own_fields_along() -> None:
    response = answer(Problem("method.not-allowed", "No.", headers={"Allow": "GET"}))
    assert response.headers["Allow"] == "GET"
