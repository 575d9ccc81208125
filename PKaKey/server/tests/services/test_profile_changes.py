"""A profile is changed by a process: one version further, once, and never past a newer one."""

import json
from typing import Any
from uuid import uuid4

import pytest

from PKaKey.server.tests.services.test_approvals import Flows, asking, flows, operation

__all__ = ["Flows", "asking", "flows"]  # Fixtures.


@pytest.fixture
def document(asking: Any) -> dict[str, Any]:
    """The current profile tls-client, as people would edit it: its next version."""
    from pkakey.store.context import acting_as
    from pkakey.store.profiles.models import Profile

    with acting_as(asking.admin):
        row = Profile.objects.get(name="tls-client", is_current=True)
    data: dict[str, Any] = {**row.data, "version": row.version + 1, "title": "Shorter"}
    return data


def change(document: Any, *, process: str | None = None, **changes: Any) -> Any:
    text = document if isinstance(document, str) else json.dumps(document)
    subject = {"profile": "tls-client", "document": text} | changes.pop("subject", {})
    parameters = {"act": "change-profile", "subject": subject} | changes.pop("parameters", {})
    told = {
        "id": process or str(uuid4()), "key": "profile-change", "version": 1, "sha256": "e" * 64,
        "namespace": "default", "path": ["ProfileStart", "ProfileReview", "ProfileApprove"],
        "deciders": [{"subject": "9", "name": "otto", "element": "ProfileApprove", "at": "now"}],
    }  # fmt: skip
    return operation("act", {"parameters": parameters, "process": told | changes})


def versions(connection: Any) -> list[tuple[int, bool]]:
    found: list[tuple[int, bool]] = connection.execute(
        "SELECT p.version, p.is_current FROM profiles_profile p "
        "JOIN namespaces_namespace n ON n.id = p.namespace_id "
        "WHERE p.name = 'tls-client' AND n.slug = 'default' ORDER BY 1"
    ).fetchall()
    return found


def test_the_next_version_is_current_and_the_audit_log_names_the_process(
    asking: Any, document: dict[str, Any], admin_connection: Any
) -> None:
    process = str(uuid4())
    answer = change(document, process=process)
    assert answer.status_code == 200, answer.content
    assert answer.json()["version"] == document["version"]
    assert versions(admin_connection)[-1] == (document["version"], True)
    (entry,) = admin_connection.execute(
        "SELECT data FROM audit_entry WHERE action = 'profile.changed'"
    ).fetchall()
    details = json.loads(entry[0])
    assert process in entry[0]
    assert "otto" in entry[0]
    assert details


def test_the_same_step_again_changes_nothing_even_after_a_newer_version(
    asking: Any, document: dict[str, Any], admin_connection: Any
) -> None:
    first = change(document)
    assert change(document).json() == first.json()
    assert len(versions(admin_connection)) == document["version"]
    assert change(document | {"version": document["version"] + 1}).status_code == 200
    assert change(document).json() == first.json()
    assert [version for version, is_current in versions(admin_connection) if is_current] == [
        document["version"] + 1
    ]


def test_what_was_approved_is_not_laid_over_a_change_since(
    asking: Any, document: dict[str, Any], admin_connection: Any
) -> None:
    assert change(document | {"title": "Another"}).status_code == 200
    answer = change(document)
    assert (answer.status_code, answer.json()["code"]) == (409, "profile.version")
    assert "Base the change on the current one" in answer.json()["detail"]
    assert len(versions(admin_connection)) == document["version"]


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        ({"version": 1}, "profile.version"),
        ({"version": 99}, "profile.version"),
        ({"name": "tls-server"}, "profile.invalid"),
        ({"key_algorithms": ["quantum"]}, "profile.invalid"),
        ({"kind": "authority"}, "profile."),
        ({"surprise": 1}, "profile.invalid"),
    ],
    ids=str,
)
def test_a_document_that_is_not_the_next_version_is_refused(
    asking: Any, document: dict[str, Any], admin_connection: Any, edit: dict[str, Any], code: str
) -> None:
    before = versions(admin_connection)
    answer = change(document | edit)
    assert answer.status_code == 409, answer.content
    assert answer.json()["code"].startswith(code)
    assert versions(admin_connection) == before


@pytest.mark.parametrize("text", ["{", "[]", "null", "7", '""', "[" * 9000, "{}", '{"name": []}'])
def test_what_is_no_profile_is_refused(asking: Any, admin_connection: Any, text: str) -> None:
    before = versions(admin_connection)
    answer = change(text)
    assert (answer.status_code, answer.json()["code"]) == (409, "profile.invalid")
    assert versions(admin_connection) == before


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"key": "namespace-grant"}, 409),
        ({"deciders": []}, 409),
        ({"namespace": "nowhere"}, 404),
        ({"parameters": {"act": "activate-authority"}}, 422),
        ({"parameters": {"act": ["change-profile"]}}, 422),
        ({"parameters": {"subject": "tls-client"}}, 422),
        ({"subject": {"document": 7}}, 422),
        ({"subject": {"document": "x" * 20_001}}, 422),
        ({"subject": {"profile": ""}}, 422),
    ],
    ids=str,
)
def test_another_process_or_a_malformed_step_changes_nothing(
    asking: Any,
    document: dict[str, Any],
    admin_connection: Any,
    changes: dict[str, Any],
    status: int,
) -> None:
    before = versions(admin_connection)
    assert change(document, **changes).status_code == status
    assert versions(admin_connection) == before


def test_a_profile_that_is_not_there_is_not_made(asking: Any, document: dict[str, Any]) -> None:
    answer = change(document | {"name": "new"}, subject={"profile": "new"})
    assert (answer.status_code, answer.json()["code"]) == (404, "resource.not-found")


def test_the_next_certificate_is_issued_under_the_new_version(
    asking: Any, document: dict[str, Any], flows: Flows
) -> None:
    from PKaKey.server.tests.services.test_approvals import ask

    del document["approval"]
    assert change(document).status_code == 200
    issued = ask(asking)
    assert issued.serial_number
    assert flows.asked == []
