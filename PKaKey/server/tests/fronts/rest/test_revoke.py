"""Revoking over REST."""

import pytest

from PKaKey.server.tests.conftest import Platform
from PKaKey.server.tests.fronts.rest.rest_client import RESTClient, problem


def test_a_certificate_is_revoked_once_and_for_good(officer: RESTClient) -> None:
    serial = officer.issue("revoke.example.test")["serial_number"]
    answer = officer.post(f"certificates/{serial}/revoke/", {"reason": "keyCompromise"})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["serial_number"], body["reason"]) == (serial, "keyCompromise")
    shown = officer.get(f"certificates/{serial}/").json()
    assert shown["status"] == "revoked"
    assert shown["revoked_at"] == body["revoked_at"]
    again = officer.post(f"certificates/{serial}/revoke/", {"reason": "superseded"})
    problem(again, 409, "revocation.already-revoked")
    assert officer.get(f"certificates/{serial}/").json()["revocation_reason"] == "keyCompromise"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "request.invalid"),
        ({"reason": ""}, 400, "request.invalid"),
        ({"reason": 1}, 400, "request.invalid"),
        ({"reason": None}, 400, "request.invalid"),
        ({"reason": "keyCompromise", "at": "now"}, 400, "request.invalid"),
        ({"reason": "key\x00Compromise"}, 400, "request.invalid"),
        ({"reason": "KEYCOMPROMISE"}, 422, "revocation.reason-unknown"),
        ({"reason": "because"}, 422, "revocation.reason-unknown"),
        ({"reason": "removeFromCRL"}, 422, "revocation.reason-unknown"),
        ({"reason": "certificateHold"}, 422, "revocation.reason-not-allowed"),
        ({"reason": "cACompromise"}, 422, "revocation.reason-not-allowed"),
    ],
)
def test_a_reason_that_cannot_be_is_refused_and_the_certificate_stays_valid(
    officer: RESTClient, platform: Platform, body: object, status: int, code: str
) -> None:
    serial = platform.issue("stays.example.test").serial_number
    problem(officer.post(f"certificates/{serial}/revoke/", body), status, code)
    assert officer.get(f"certificates/{serial}/").json()["status"] == "valid"


@pytest.mark.parametrize("serial", ["7f", "x", "0", "A1"])
def test_what_was_never_issued_cannot_be_revoked(officer: RESTClient, serial: str) -> None:
    answer = officer.post(f"certificates/{serial}/revoke/", {"reason": "superseded"})
    problem(answer, 404, "resource.not-found")


def test_a_reader_revokes_nothing(reader: RESTClient, officer: RESTClient) -> None:
    serial = officer.issue("reader.example.test")["serial_number"]
    answer = reader.post(f"certificates/{serial}/revoke/", {"reason": "superseded"})
    problem(answer, 403, "permission.denied")
    assert officer.get(f"certificates/{serial}/").json()["status"] == "valid"
