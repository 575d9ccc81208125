"""The REST API as people call it: signed tokens, problem documents, one namespace each."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

KEY = "certificate-approval-one"
REQUEST = {
    "request": {
        "id": "6e4c5a0e-7a01-4d42-8d8b-0b1c0f2e3d4c",
        "sha256": "ab" * 32,
        "profile": "tls-server",
        "names": ["www.example.test"],
    }
}
UNKNOWN = "11111111-1111-4111-8111-111111111111"


class API:
    """Calls the API as somebody."""

    def __init__(self, issuer: Any) -> None:
        self.issuer = issuer
        self.client = Client()

    def token(self, name: str, *roles: str, **claims: Any) -> str:
        now = datetime.now(tz=UTC)
        token: str = self.issuer.token(
            now=now,
            **{"audience": "koolflows", "sub": name, "name": name.title(), "roles": list(roles),
               **claims},
        )  # fmt: skip
        return token

    def get(self, path: str, token: str | None = None, **headers: str) -> Any:
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.client.get(f"/api/v1/{path}", headers=headers)

    def post(self, path: str, body: Any, token: str | None = None, **headers: str) -> Any:
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        content = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.client.post(
            f"/api/v1/{path}", content, content_type="application/json", headers=headers
        )


@pytest.fixture
def api(shipped: Any, issuer: Any) -> API:
    return API(issuer)


@pytest.fixture
def rita(api: API) -> str:
    return api.token("rita", "pki-requester")


@pytest.fixture
def otto(api: API) -> str:
    return api.token("otto", "pki-officer")


def problem(answer: Any, status: int, code: str) -> None:
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["detail"]


def started(api: API, token: str, **more: Any) -> Any:
    answer = api.post("processes/", {"diagram": KEY, "data": REQUEST, **more}, token)
    assert answer.status_code == 201, answer.content
    return answer.json()


def task_of(api: API, process: Any, token: str) -> Any:
    (task,) = api.get(f"processes/{process['id']}/tasks/", token).json()["results"]
    return task


APPROVE = {"values": {"outcome": "approve", "reason": "I know the host."}}


def test_a_request_is_started_decided_and_shown_with_its_path(
    api: API, shipped: Any, rita: str, otto: str
) -> None:
    process = started(api, rita)
    # The timers on its boundary only listen.
    assert [place["element"] for place in process["places"]] == ["OneApprove"]
    (task,) = api.get("tasks/?box=group", otto).json()["results"]
    assert (task["process"], task["may_decide"]) == (process["id"], True)
    answer = api.post(f"tasks/{task['id']}/decision/", APPROVE, otto)
    assert answer.status_code == 200, answer.content
    shipped.later(minutes=1)
    seen = api.get(f"processes/{process['id']}/", rita).json()
    assert (seen["state"], seen["outcome"], seen["version"]) == ("completed", "OneIssued", 1)
    assert [one["element"] for one in seen["path"]][:3] == ["OneStart", "OneApprove", "OneDecided"]
    history = api.get(f"processes/{process['id']}/history/", otto).json()["results"]
    (decided,) = [entry for entry in history if entry["kind"] == "decided"]
    assert decided["data"]["decision"]["reason"] == "I know the host."
    assert api.get("tasks/", otto).json()["results"] == []


@pytest.mark.parametrize(
    "claims",
    [
        {"audience": "pkakey"},
        {"exp": 1},
        {"iss": "https://evil.example.test"},
        {"sub": None},
        {"iat": None},
        {"sub": "system:worker"},
    ],
)
def test_a_token_that_is_not_for_this_service_lets_nobody_in(
    api: API, claims: dict[str, Any]
) -> None:
    answer = api.get("tasks/", api.token("rita", "pki-officer", **claims))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("field", ["", "Bearer", "Basic cml0YTp4", "Bearer a b", "Bearer x.y.z"])
def test_no_token_or_no_token_at_all_is_401(api: API, field: str) -> None:
    assert api.get("tasks/", Authorization=field).status_code == 401


def test_a_token_of_another_key_is_refused(api: API) -> None:
    from theddt_identity.testing import Issuer

    forged = API(Issuer(algorithm="ES256"))
    assert api.get("tasks/", forged.token("eve", "pki-admin")).status_code == 401


def test_a_header_that_names_a_person_is_believed_by_nobody(api: API) -> None:
    answer = api.get("tasks/", **{"X-Auth-Request-User": "otto", "Remote-User": "otto"})
    problem(answer, 401, "token.missing")


def test_a_token_without_a_namespace_sees_nothing(api: API) -> None:
    token = api.token("rita", "pki-admin", namespace=None)
    problem(api.get("tasks/", token), 403, "token.no-namespace")


def test_another_namespace_sees_and_touches_nothing(api: API, rita: str) -> None:
    process = started(api, rita)
    task = task_of(api, process, api.token("otto", "pki-officer"))
    eve = api.token("eve", "pki-admin", "pki-officer", namespace="team-x")
    for path in ("", "history/", "picture.svg"):
        problem(api.get(f"processes/{process['id']}/{path}", eve), 404, "resource.not-found")
    problem(api.get(f"tasks/{task['id']}/", eve), 404, "resource.not-found")
    problem(api.post(f"tasks/{task['id']}/decision/", APPROVE, eve), 404, "resource.not-found")
    assert api.get("processes/", eve).json()["results"] == []
    assert api.get(f"processes/{process['id']}/tasks/", eve).json()["results"] == []


def test_requesters_see_their_own_processes_only(api: API, rita: str) -> None:
    process = started(api, rita)
    ruth = api.token("ruth", "pki-requester")
    problem(api.get(f"processes/{process['id']}/", ruth), 404, "resource.not-found")
    assert api.get("processes/", ruth).json()["results"] == []


def test_one_cannot_decide_on_ones_own_request(api: API, shipped: Any, otto: str) -> None:
    process = started(api, otto)
    task = task_of(api, process, otto)
    assert task["may_decide"] is False
    problem(api.post(f"tasks/{task['id']}/decision/", APPROVE, otto), 403, "task.own-request")
    assert shipped.task(process["id"]) is not None


def test_a_second_decision_is_told_who_was_first(api: API, rita: str, otto: str) -> None:
    task = task_of(api, started(api, rita), otto)
    api.post(f"tasks/{task['id']}/decision/", APPROVE, otto)
    answer = api.post(f"tasks/{task['id']}/decision/", APPROVE, api.token("olga", "pki-officer"))
    problem(answer, 409, "task.not-open")
    assert "Otto" in answer.json()["detail"]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"outcome": "approve"},
        {"outcome": "perhaps", "reason": "because"},
        {"outcome": "approve", "reason": ""},
        {"outcome": "approve", "reason": "x" * 1001},
        {"outcome": "approve", "reason": "because", "more": 1},
        {"outcome": ["approve"], "reason": "because"},
        {"outcome": "approve", "reason": "because", "by": "olga"},
    ],
)
def test_values_outside_the_form_change_nothing(
    api: API, shipped: Any, rita: str, otto: str, values: dict[str, Any]
) -> None:
    process = started(api, rita)
    task = task_of(api, process, otto)
    answer = api.post(f"tasks/{task['id']}/decision/", {"values": values}, otto)
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"]
    assert shipped.task(process["id"]).pk.hex == task["id"].replace("-", "")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("nonsense", 400),
        ("[]", 400),
        ('{"diagram": 5}', 400),
        ('{"diagram": "none", "data": {}}', 404),
        ('{"diagram": "a\\u0000b", "data": {}}', 400),
        (f'{{"diagram": "{KEY}", "data": {{}}, "more": 1}}', 400),
        (f'{{"diagram": "{KEY}", "data": {{}}}}', 422),
        (f'{{"diagram": "{KEY}", "data": {{"process": {{}}}}}}', 422),
        (f'{{"diagram": "{KEY}", "version": 99, "data": {{}}}}', 404),
        (f'{{"diagram": "{KEY}", "version": -1, "data": {{}}}}', 400),
        (b'{"diagram": "\xff"}', 400),
    ],
)
def test_a_bad_start_is_a_problem_and_starts_nothing(
    api: API, rita: str, body: Any, status: int
) -> None:
    answer = api.post("processes/", body, rita)
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert api.get("processes/", rita).json()["results"] == []


def test_the_same_idempotency_key_starts_one_process(api: API, rita: str) -> None:
    body = {"diagram": KEY, "data": REQUEST}
    first = api.post("processes/", body, rita, **{"Idempotency-Key": "k1"})
    again = api.post("processes/", body, rita, **{"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("role", ["pki-officer", "pki-auditor", "pki-requester", "db-admin"])
def test_who_may_deploy_is_a_role(api: API, role: str) -> None:
    answer = api.post("diagrams/", {"files": {"a.bpmn": "<a/>"}}, api.token("x", role))
    problem(answer, 403, "permission.denied")


def test_a_refused_diagram_names_every_finding(api: API) -> None:
    token = api.token("dora", "pki-admin")
    answer = api.post("diagrams/", {"files": {"a.bpmn": "<!DOCTYPE a><a/>"}}, token)
    problem(answer, 422, "xml.doctype")
    assert answer.json()["errors"][0]["file"] == "a.bpmn"


def test_a_task_is_claimed_handed_over_and_given_back(api: API, rita: str, otto: str) -> None:
    task = task_of(api, started(api, rita), otto)
    olga = api.token("olga", "pki-officer")
    path = f"tasks/{task['id']}/"
    assert api.post(f"{path}claim/", {}, otto).json()["assignee"] == "otto"
    problem(api.post(f"{path}claim/", {}, olga), 409, "task.claimed")
    problem(api.post(f"{path}decision/", APPROVE, olga), 403, "task.not-yours")
    problem(api.post(f"{path}delegation/", {"to": "olga", "reason": "x"}, olga), 403,
            "task.not-yours")  # fmt: skip
    problem(api.post(f"{path}delegation/", {"to": "rita", "reason": "x"}, otto), 403,
            "task.own-request")  # fmt: skip
    assert api.post(f"{path}delegation/", {"to": "olga", "reason": "away"}, otto).status_code == 200
    assert [one["id"] for one in api.get("tasks/?box=mine", olga).json()["results"]] == [task["id"]]
    assert api.post(f"{path}decision/", APPROVE, olga).status_code == 200


def test_the_picture_marks_where_the_process_stands_and_loads_nothing(api: API, rita: str) -> None:
    process = started(api, rita)
    answer = api.get(f"processes/{process['id']}/picture.svg", rita)
    text = answer.content.decode()
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "flow-here" in text
    assert "<script" not in text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")


def test_a_cancelled_process_has_no_task_left(api: API, rita: str, otto: str) -> None:
    process = started(api, rita)
    task = task_of(api, process, otto)
    path = f"processes/{process['id']}/cancel/"
    ruth = api.token("ruth", "pki-officer")
    assert api.post(path, {"reason": "mine now"}, ruth).status_code == 403
    answer = api.post(path, {"reason": "not needed"}, rita)
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    problem(api.post(f"tasks/{task['id']}/decision/", APPROVE, otto), 409, "task.not-open")


@pytest.mark.parametrize(
    "path", ["tasks/?box=none", "tasks/?cursor=x", "tasks/?more=1", "tasks/?page_size=0",
             "processes/?state=x", "processes/?cursor=%00"],
)  # fmt: skip
def test_an_unknown_question_is_refused(api: API, otto: str, path: str) -> None:
    assert api.get(path, otto).status_code in {400, 409}


@pytest.mark.parametrize("path", ["nothing", "tasks/x/", f"tasks/{UNKNOWN}/",
                                  f"processes/{UNKNOWN}/", "diagrams/none/1/"])  # fmt: skip
def test_what_is_not_there_is_404(api: API, otto: str, path: str) -> None:
    assert api.get(path, otto).status_code == 404


def test_the_inbox_pages(api: API, rita: str, otto: str) -> None:
    ids = {started(api, rita)["id"] for _ in range(5)}
    seen: set[str] = set()
    path = "tasks/?page_size=2"
    for _ in range(3):
        page = api.get(path, otto).json()
        seen |= {task["process"] for task in page["results"]}
        if page["next"] is None:
            break
        path = page["next"].partition("/api/v1/")[2]
    assert seen == ids


def test_overdue_tasks_have_a_box(api: API, shipped: Any, rita: str, otto: str) -> None:
    started(api, rita)
    assert api.get("tasks/?box=overdue", otto).json()["results"] == []
    from koolflows.selectors.inbox import list_tasks

    later = shipped.now + timedelta(days=4)
    page = list_tasks(
        shipped.person("otto", "pki-officer"), box="overdue", now=later, cursor=None, limit=10
    )
    assert len(page.items) == 1


def test_the_openapi_document_names_every_address(api: API) -> None:
    document = api.get("openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert len(document["paths"]) >= 15
    for item in document["paths"].values():
        for operation in item.values():
            assert {"401", "403"} <= set(operation["responses"])


def test_a_scope_narrows_what_a_persons_roles_permit(api: API, rita: str) -> None:
    started = api.post("processes/", {"diagram": KEY, "data": REQUEST}, rita)
    assert started.status_code == 201
    reader = api.token("oona", "pki-officer", scope="openid flows:read")
    (task,) = api.get("tasks/", reader).json()["results"]
    refused = api.post(f"tasks/{task['id']}/decision/", {"values": {"approved": True}}, reader)
    assert refused.status_code == 403
    assert refused.json()["code"] == "permission.denied"
    assert api.post("processes/", {"diagram": KEY, "data": REQUEST}, reader).status_code == 403


def test_a_program_may_what_its_scopes_say_and_decides_nothing(api: API, rita: str) -> None:
    api.post("processes/", {"diagram": KEY, "data": REQUEST}, rita)
    program = api.token("token:1", scope="flows:read flows:decide")
    (found,) = api.get("processes/", program).json()["results"]
    (task,) = api.get(f"processes/{found['id']}/tasks/", program).json()["results"]
    values = {"values": {"approved": True, "reason": "by myself"}}
    assert api.post(f"tasks/{task['id']}/decision/", values, program).status_code == 403
    # Roles in such a token count for nothing: no person stands behind it.
    forged = api.token("token:1", "pki-officer", scope="flows:read flows:decide")
    assert api.post(f"tasks/{task['id']}/decision/", values, forged).status_code == 403
    assert api.get("processes/", api.token("token:1")).status_code == 403


def test_a_program_starts_what_its_scope_lets_it_start(api: API) -> None:
    body = {"diagram": KEY, "data": REQUEST}
    started = api.post("processes/", body, api.token("token:1", scope="flows:start flows:read"))
    assert started.status_code == 201
    assert api.post("processes/", body, api.token("token:1", scope="flows:read")).status_code == 403
