"""Requests that need an approval: recorded, bound to exactly what was asked, issued once."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.test import Client
from pkakey_engine.testing.requests import make_csr

KEY = "k" * 64
DIAGRAM = "certificate-approval-one"


@dataclass
class Flows:
    """KoolFlows' side: what was asked of it, and what it answers."""

    process: str = field(default_factory=lambda: str(uuid4()))
    asked: list[dict[str, Any]] = field(default_factory=list)
    is_away: bool = False
    status: int = 201

    def call(self, method: str, path: str, **what: Any) -> Any:
        from pkakey.services.errors import ServiceUnavailable
        from pkakey.services.to_flows import Answer

        if self.is_away:
            raise ServiceUnavailable("koolflows", "KoolFlows does not answer.")
        self.asked.append({"method": method, "path": path, **what})
        body = {"id": self.process, "version": 1, "sha256": "d" * 64, "detail": "said no"}
        return Answer(self.status, json.dumps(body))


@pytest.fixture
def flows() -> Flows:
    return Flows()


@pytest.fixture
def asking(
    platform: Any, flows: Flows, admin_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """The platform with KoolFlows, and a profile for clients that needs one officer."""
    from django.contrib.auth import get_user_model
    from pkakey.config import wiring
    from pkakey.services import Services

    outside = replace(platform.services.outside, flows=flows, flows_service_key=KEY)
    bound = Services(outside)
    monkeypatch.setattr(wiring, "services", lambda: bound)
    bound.require_approval(
        namespace="default", profile="tls-client", diagram=DIAGRAM, now=platform.now
    )
    person = get_user_model().objects.create_user("ada", is_active=True)
    with psycopg.connect(admin_dsn) as admin:
        admin.execute(
            "INSERT INTO namespaces_membership (id, namespace_id, user_id, created_at) "
            "VALUES (gen_random_uuid(), %s, %s, now())",
            [platform.namespace_id, person.pk],
        )
    yield replace(platform, services=bound, admin=replace(platform.admin, id=str(person.pk)))
    # What this process remembers of profiles must not outlive the test's tables.
    from pkakey.services.issuing_authority import forget

    forget()


def ask(platform: Any, name: str = "a.example.test", **options: Any) -> Any:
    return platform.issue(name, profile="tls-client", **options)


def operation(name: str, body: Any, *, key: str = KEY, job: str = "job-1") -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Client().post(
        f"/internal/flows/{name}/", content, content_type="application/json",
        headers={"Authorization": f"Bearer {key}", "Idempotency-Key": job, "Host": "localhost"},
    )  # fmt: skip


def told(asked: Any, **changes: Any) -> dict[str, Any]:
    parameters = {"request": {"id": str(asked.id), "sha256": asked.sha256}, "reason": "unknown"}
    process = {
        "id": str(asked.process_id), "key": DIAGRAM, "version": 1, "sha256": "d" * 64,
        "namespace": "default", "path": ["OneStart", "OneApprove"],
        "deciders": [{"subject": "9", "name": "otto", "element": "OneApprove", "at": "now"}],
    }  # fmt: skip
    parameters |= changes.pop("parameters", {})
    return {"parameters": parameters, "process": process | changes}


def certificates(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(
        "SELECT count(*) FROM certificates_certificate WHERE profile = 'tls-client'"
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_request_waits_and_koolflows_is_told_what_is_asked_in_the_requesters_name(
    asking: Any, flows: Flows, admin_connection: Any
) -> None:
    from theddt_identity import KeySet, TrustedIssuer, Verifier

    asked = ask(asking)
    assert (asked.state, asked.diagram, asked.serial_number) == ("waiting", DIAGRAM, None)
    assert asked.process_id == UUID(flows.process)
    (call,) = flows.asked
    request = call["body"]["data"]["request"]
    assert (request["id"], request["sha256"]) == (str(asked.id), asked.sha256)
    assert request["names"] == ["a.example.test"]
    issuer = TrustedIssuer(
        "https://pkakey.theddt.localhost:8443",
        KeySet.of(asking.services.token_jwks(now=asking.now)),
    )
    caller = Verifier(audience="koolflows", issuers=[issuer]).caller(call["token"], now=asking.now)
    assert (caller.subject, caller.roles, caller.namespace) == (
        asking.admin.id,
        {"pki-admin"},
        "default",
    )
    assert certificates(admin_connection) == 0


def test_a_persons_token_asks_as_that_person_and_may_not_decide(asking: Any, flows: Flows) -> None:
    from theddt_identity import KeySet, TrustedIssuer, Verifier

    token = asking.token("certificates:issue").token
    from pkakey.services.tokens import authenticate_token

    ask(asking, principal=authenticate_token(token, asking.now))
    issuer = TrustedIssuer(
        "https://pkakey.theddt.localhost:8443",
        KeySet.of(asking.services.token_jwks(now=asking.now)),
    )
    caller = Verifier(audience="koolflows", issuers=[issuer]).caller(
        flows.asked[0]["token"], now=asking.now
    )
    assert (caller.subject, caller.roles) == (asking.admin.id, {"pki-requester"})
    assert "flows:decide" not in caller.scopes


def test_what_was_approved_is_issued_once_however_often_it_is_asked_for(
    asking: Any, admin_connection: Any
) -> None:
    from pkakey.selectors.requests import get_request, request_of_certificate

    asked = ask(asking)
    first = operation("issue", told(asked))
    assert first.status_code == 200, first.content
    assert operation("issue", told(asked)).json() == first.json()
    assert operation("issue", told(asked), job="job-2").json() == first.json()
    assert certificates(admin_connection) == 1
    found = get_request(asking.admin, asked.id)
    assert (found.state, found.serial_number) == ("issued", first.json()["certificate"])
    assert [one["name"] for one in found.deciders] == ["otto"]
    assert found.path == ("OneStart", "OneApprove")
    row = admin_connection.execute(
        "SELECT id FROM certificates_certificate WHERE profile = 'tls-client'"
    ).fetchone()
    assert request_of_certificate(asking.admin, row[0]).id == asked.id
    actions = admin_connection.execute(
        "SELECT action FROM audit_entry WHERE target = %s ORDER BY id", [str(asked.id)]
    ).fetchall()
    assert [one[0] for one in actions] == ["request.received", "request.issued"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"parameters": {"request": {"id": "ID", "sha256": "0" * 64}}}, "request.changed"),
        ({"key": "somebodys-own"}, "request.other-diagram"),
        ({"id": "11111111-1111-4111-8111-111111111111"}, "request.other-process"),
        ({"namespace": "guest"}, "resource.not-found"),
        ({"namespace": "nowhere"}, "resource.not-found"),
        ({"parameters": {"request": {"id": "x", "sha256": "0" * 64}}}, "operation.malformed"),
        ({"parameters": {"request": 7}}, "operation.malformed"),
        ({"version": "newest"}, "operation.malformed"),
        ({"path": 7}, "operation.malformed"),
        ({"deciders": [7]}, "operation.malformed"),
    ],
    ids=str,
)
def test_anything_else_than_the_approved_request_is_refused(
    asking: Any, admin_connection: Any, changes: dict[str, Any], code: str
) -> None:
    asked = ask(asking)
    text = json.dumps(told(asked, **json.loads(json.dumps(changes))))
    answer = operation("issue", text.replace('"ID"', f'"{asked.id}"').encode())
    assert answer.status_code in {404, 409, 422}
    assert answer.json()["code"] == code
    assert certificates(admin_connection) == 0


@pytest.mark.parametrize("key", ["", "k" * 63, "K" * 64, "é", KEY + " "])
def test_only_koolflows_key_opens_the_internal_address(
    asking: Any, admin_connection: Any, key: str
) -> None:
    answer = operation("issue", told(ask(asking)), key=key)
    assert (answer.status_code, answer.json()["code"]) == (401, "service.key")
    assert certificates(admin_connection) == 0


def test_without_a_key_of_its_own_the_platform_lets_nobody_in(platform: Any) -> None:
    answer = operation("issue", {}, key="None")
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("name", "body"),
    [("issue", b"{"), ("issue", b"[]"), ("issue", b"\xff"), ("issue", b"[" * 5000),
     ("refuse", b"{}"), ("grant", b"{}"), ("forward-auth", b"{}")],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_read_is_refused_for_good(asking: Any, name: str, body: bytes) -> None:
    answer = operation(name, body)
    assert (answer.status_code, answer.json()["code"]) == (422, "operation.malformed")


def test_a_key_that_is_missing_is_told(asking: Any) -> None:
    answer = operation("issue", told(ask(asking)), job="")
    assert answer.json()["code"] == "operation.malformed"


def test_a_refusal_closes_the_request_for_good(asking: Any, admin_connection: Any) -> None:
    asked = ask(asking)
    assert operation("refuse", told(asked)).status_code == 200
    assert operation("refuse", told(asked)).status_code == 200
    late = operation("issue", told(asked))
    assert (late.status_code, late.json()["code"]) == (409, "request.not-waiting")
    assert certificates(admin_connection) == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        admin_connection.execute("UPDATE requests_request SET state = 'waiting'")


def test_what_a_request_asks_for_cannot_be_changed_even_by_an_administrator(
    asking: Any, admin_connection: Any
) -> None:
    ask(asking)
    for change in ("names = '{dns:evil.test}'", "sha256 = 'x'", "profile = 'tls-server'"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            admin_connection.execute(f"UPDATE requests_request SET {change}")  # noqa: S608
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        admin_connection.execute("DELETE FROM requests_request")


def test_a_profile_that_changed_since_needs_another_approval(
    asking: Any, admin_connection: Any
) -> None:
    from pkakey.selectors.requests import get_request

    asked = ask(asking)
    asking.services.require_approval(
        namespace="default", profile="tls-client", diagram="another", now=asking.now
    )
    answer = operation("issue", told(asked))
    assert (answer.status_code, answer.json()["code"]) == (409, "request.changed")
    assert get_request(asking.admin, asked.id).state == "failed"
    assert certificates(admin_connection) == 0


def test_a_token_that_was_revoked_meanwhile_gets_nothing(
    asking: Any, admin_connection: Any
) -> None:
    from pkakey.services.tokens import authenticate_token

    made = asking.token("certificates:issue")
    asked = ask(asking, principal=authenticate_token(made.token, asking.now))
    asking.services.revoke_token(principal=asking.admin, token_id=made.id, now=asking.now)
    answer = operation("issue", told(asked))
    assert (answer.status_code, answer.json()["code"]) == (409, "request.requester-gone")
    assert certificates(admin_connection) == 0


def test_without_koolflows_it_is_told_and_what_needs_no_approval_is_issued(
    asking: Any, flows: Flows
) -> None:
    from pkakey.services.errors import ServiceUnavailable

    flows.is_away = True
    csr = make_csr(common_name="a.example.test", dns=["a.example.test"])
    with pytest.raises(ServiceUnavailable) as refusal:
        ask(asking, csr=csr, idempotency_key="again")
    assert refusal.value.what == "koolflows"
    assert asking.issue("b.example.test").serial_number
    flows.is_away = False
    asked = ask(asking, csr=csr, idempotency_key="again")
    assert asked.state == "waiting"
    assert ask(asking, csr=csr, idempotency_key="again").id == asked.id
    assert len(flows.asked) == 1


def test_a_request_that_was_answered_as_not_begun_is_never_issued(
    asking: Any, flows: Flows, admin_connection: Any
) -> None:
    from pkakey.selectors.requests import list_requests
    from pkakey.services.errors import ServiceUnavailable

    flows.is_away = True
    with pytest.raises(ServiceUnavailable):
        ask(asking)
    (left,) = list_requests(asking.admin, state="not-started", before=None, limit=9)
    answer = operation("issue", told(left, id=flows.process))
    assert (answer.status_code, answer.json()["code"]) == (409, "request.not-started")
    assert certificates(admin_connection) == 0


def test_an_answer_that_comes_before_the_request_is_recorded_waits(
    asking: Any, admin_connection: Any
) -> None:
    asked = ask(asking)
    admin_connection.execute("SET session_replication_role = replica")
    admin_connection.execute("UPDATE requests_request SET state = 'recorded', process_id = NULL")
    assert operation("issue", told(asked)).status_code == 425
    admin_connection.execute(
        "UPDATE requests_request SET created_at = %s", [asking.now - timedelta(minutes=2)]
    )
    assert operation("issue", told(asked)).status_code == 200


def test_a_key_used_for_another_request_is_refused(asking: Any) -> None:
    from pkakey.services.errors import Conflict

    ask(asking, idempotency_key="one")
    with pytest.raises(Conflict) as refusal:
        ask(asking, idempotency_key="one")
    assert refusal.value.code == "idempotency.key-reused"


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_a_process_that_cannot_be_started_is_told(asking: Any, flows: Flows, status: int) -> None:
    from pkakey.services.errors import Conflict

    flows.status = status
    with pytest.raises(Conflict) as refusal:
        ask(asking)
    assert refusal.value.code == "approval.not-started"
    assert "said no" in refusal.value.detail


def test_another_namespace_sees_nothing_of_it(asking: Any) -> None:
    from pkakey.selectors.requests import get_request, list_requests
    from pkakey.services.errors import NotFound

    asked = ask(asking)
    assert list_requests(asking.guest, state=None, before=None, limit=9) == ()
    with pytest.raises(NotFound):
        get_request(asking.guest, asked.id)


def test_the_platform_itself_needs_no_approval(asking: Any) -> None:
    from pkakey.services.principals import system_principal

    system = system_principal(namespace_id=asking.namespace_id, namespace="default", name="gateway")
    assert ask(asking, principal=system).serial_number


def test_a_preview_says_that_an_approval_is_needed(asking: Any) -> None:
    csr = make_csr(common_name="a.example.test", dns=["a.example.test"])
    preview = asking.services.preview_certificate(
        principal=asking.admin, csr=csr, profile="tls-client", now=asking.now
    )
    assert preview.approval == DIAGRAM


@pytest.mark.parametrize("diagram", ["", "../x", "a b", "x" * 101, "1st"])
def test_a_profile_names_a_diagram_by_a_key(asking: Any, diagram: str) -> None:
    from pkakey.services.errors import Conflict

    with pytest.raises(Conflict) as refusal:
        asking.services.require_approval(
            namespace="default", profile="tls-client", diagram=diagram, now=asking.now
        )
    assert refusal.value.code == "profile.invalid"


def test_taking_the_approval_away_lets_the_profile_issue_again(asking: Any) -> None:
    services = asking.services
    arguments = {"namespace": "default", "profile": "tls-client", "now": asking.now}
    assert services.require_approval(diagram=None, **arguments) == 3
    assert services.require_approval(diagram=None, **arguments) == 3
    assert ask(asking).serial_number


def process_of(serial_number: str, **more: Any) -> dict[str, Any]:
    process = {
        "id": str(uuid4()), "key": "mass-replacement-drill", "version": 1, "sha256": "d" * 64,
        "namespace": "default", "path": [], "deciders": [],
    }  # fmt: skip
    parameters = {"serial_number": serial_number, "reason": "superseded"}
    return {"parameters": parameters, "process": process | more}


def test_a_process_renews_with_the_same_key_once_for_each_job(asking: Any) -> None:
    old = asking.issue("b.example.test")
    body = process_of(old.serial_number)
    first = operation("renew", body, job="job-7")
    assert first.status_code == 200, first.content
    assert operation("renew", body, job="job-7").json() == first.json()
    assert first.json()["replaces"] == old.serial_number
    other = operation("renew", body, job="job-8").json()["certificate"]
    assert len({old.serial_number, first.json()["certificate"], other}) == 3


def test_what_is_revoked_or_needs_another_diagram_is_not_renewed(
    asking: Any, admin_connection: Any
) -> None:
    gone = asking.issue("b.example.test").serial_number
    asking.services.revoke_certificate(
        principal=asking.admin, serial_number=gone, reason="keyCompromise", now=asking.now
    )
    answer = operation("renew", process_of(gone))
    assert (answer.status_code, answer.json()["code"]) == (409, "renewal.revoked")
    asked = ask(asking)
    serial = operation("issue", told(asked)).json()["certificate"]
    answer = operation("renew", process_of(serial))
    assert (answer.status_code, answer.json()["code"]) == (409, "renewal.needs-approval")
    assert certificates(admin_connection) == 1
    assert operation("renew", process_of(serial, key=DIAGRAM)).status_code == 200


@pytest.mark.parametrize("name", ["renew", "revoke"])
def test_a_process_of_another_namespace_reaches_no_certificate_here(asking: Any, name: str) -> None:
    old = asking.issue("b.example.test").serial_number
    for serial, namespace in ((old, "guest"), ("0" * 40, "default"), ("xyz", "default")):
        answer = operation(name, process_of(serial, namespace=namespace))
        assert (answer.status_code, answer.json()["code"]) == (404, "resource.not-found")


def test_a_process_revokes_and_asked_again_says_the_same(asking: Any) -> None:
    old = asking.issue("b.example.test").serial_number
    first = operation("revoke", process_of(old))
    assert first.status_code == 200, first.content
    again = operation("revoke", process_of(old))
    assert again.status_code == 200, again.content
    assert again.json() == first.json()
    assert operation("revoke", process_of(old, key="x")).json() == first.json()


def test_a_token_made_by_a_token_speaks_as_the_person_behind_both(asking: Any) -> None:
    from pkakey.services.flows_tokens import subject_of
    from pkakey.services.tokens import authenticate_token

    first = asking.token("tokens:manage", "certificates:issue")
    maker = authenticate_token(first.token, asking.now)
    second = asking.token("certificates:issue", principal=maker)
    principal = authenticate_token(second.token, asking.now)
    assert subject_of(principal) == asking.admin.id
    asking.services.revoke_token(principal=asking.admin, token_id=first.id, now=asking.now)
    assert subject_of(principal) == asking.admin.id


def test_a_token_of_the_platform_itself_is_nobodys(asking: Any) -> None:
    from pkakey.services.flows_tokens import subject_of
    from pkakey.services.principals import system_principal
    from pkakey.services.tokens import authenticate_token

    system = system_principal(
        namespace_id=asking.namespace_id, namespace="default", name="bootstrap"
    )
    made = asking.token("certificates:issue", principal=system)
    principal = authenticate_token(made.token, asking.now)
    assert subject_of(principal) == f"token:{made.id}"
