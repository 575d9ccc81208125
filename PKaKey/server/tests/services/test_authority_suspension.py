"""A suspended authority issues nothing, its status goes on, and key holders activate it again."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from PKaKey.server.tests.services.test_approvals import Flows, asking, flows, operation

__all__ = ["Flows", "asking", "flows"]  # Fixtures.


def act(
    authority: Any, name: str = "activate-authority", *, process: str | None = None, **changes: Any
) -> Any:
    parameters = {"act": name, "subject": str(authority)} | changes.pop("parameters", {})
    told = {
        "id": process or str(uuid4()), "key": "ca-activation", "version": 1, "sha256": "e" * 64,
        "namespace": "default", "path": ["CaStart", "CaAgree", "CaActivate"],
        "deciders": [
            {"subject": str(number), "name": f"holder {number}", "element": "CaAgree", "at": "now"}
            for number in range(3)
        ],
    }  # fmt: skip
    return operation("act", {"parameters": parameters, "process": told | changes})


@pytest.fixture
def issuing(asking: Any) -> UUID:
    """The authority that issues by default."""
    from pkakey.selectors.authorities import list_authorities

    return next(one.id for one in list_authorities(asking.admin) if one.is_default)


@pytest.fixture
def suspended(asking: Any, issuing: UUID) -> UUID:
    asking.services.suspend_authority(principal=asking.admin, authority_id=issuing, now=asking.now)
    return issuing


def is_suspended(platform: Any, authority: UUID) -> bool:
    from pkakey.selectors.authorities import get_authority

    found: bool = get_authority(platform.admin, authority).is_suspended
    return found


def counted(connection: Any, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0])


def test_a_suspended_authority_issues_nothing_and_says_so(
    asking: Any, issuing: UUID, admin_connection: Any
) -> None:
    from pkakey.services.errors import Conflict

    # What the process remembers of before does not count.
    assert asking.issue("before.example.test")
    asking.services.suspend_authority(principal=asking.admin, authority_id=issuing, now=asking.now)
    intents = counted(admin_connection, "SELECT count(*) FROM certificates_intent")
    with pytest.raises(Conflict, match="is suspended and issues nothing") as refused:
        asking.issue("after.example.test")
    assert refused.value.code == "authority.suspended"
    assert counted(admin_connection, "SELECT count(*) FROM certificates_intent") == intents
    assert is_suspended(asking, issuing)


def test_nothing_is_made_below_it(asking: Any, suspended: UUID) -> None:
    from pkakey.services.errors import Conflict

    with pytest.raises(Conflict, match="is suspended"):
        asking.services.create_authority(
            principal=asking.admin, common_name="Below", organization="theDDT",
            profile="issuing-ca", parent_id=suspended, algorithm="ecdsa-p256", now=asking.now,
        )  # fmt: skip


def test_its_crls_and_revocations_go_on(asking: Any, issuing: UUID, admin_connection: Any) -> None:
    issued = asking.issue("revoked.example.test")
    asking.services.suspend_authority(principal=asking.admin, authority_id=issuing, now=asking.now)
    number = counted(admin_connection, "SELECT max(number) FROM authorities_crl")
    asking.services.revoke_certificate(
        principal=asking.admin, serial_number=issued.serial_number, reason="superseded",
        now=asking.now + timedelta(minutes=1),
    )  # fmt: skip
    asking.services.publish_crl(authority_id=issuing, now=asking.now + timedelta(minutes=2))
    assert counted(admin_connection, "SELECT max(number) FROM authorities_crl") > number


def test_its_key_holders_activate_it_and_the_audit_log_names_them(
    asking: Any, suspended: UUID, admin_connection: Any
) -> None:
    answer = act(suspended)
    assert answer.status_code == 200, answer.content
    assert not is_suspended(asking, suspended)
    assert asking.issue("again.example.test")
    (entry,) = admin_connection.execute(
        "SELECT data FROM audit_entry WHERE action = 'authority.activated'"
    ).fetchall()
    assert all(f"holder {number}" in entry[0] for number in range(3))


def test_a_ceremony_that_was_not_confirmed_is_undone(asking: Any, suspended: UUID) -> None:
    process = str(uuid4())
    assert act(suspended, process=process).status_code == 200
    assert act(suspended, "deactivate-authority", process=process).status_code == 200
    assert is_suspended(asking, suspended)


def test_each_change_is_told_once_with_a_version_that_grows(
    asking: Any, suspended: UUID, admin_connection: Any
) -> None:
    from pkakey_events import EVENT_TYPES

    process = str(uuid4())
    for name in ("activate-authority", "activate-authority", "deactivate-authority"):
        assert act(suspended, name, process=process).status_code == 200
    asking.services.suspend_authority(
        principal=asking.admin, authority_id=suspended, now=asking.now
    )
    told = admin_connection.execute(
        "SELECT type, version, payload FROM outbox_event WHERE type IN "
        "('authority.suspended', 'authority.activated') ORDER BY number"
    ).fetchall()
    assert [each[0].removeprefix("authority.") for each in told] == [
        "suspended",
        "activated",
        "suspended",
    ]
    events = [EVENT_TYPES[kind, version].model_validate(payload) for kind, version, payload in told]
    assert {event.authority_id for event in events} == {suspended}
    versions = [event.authority_version for event in events]
    assert versions == sorted(set(versions))


def test_the_same_step_again_does_not_undo_what_came_after(
    asking: Any, suspended: UUID, admin_connection: Any
) -> None:
    process = str(uuid4())
    first = act(suspended, process=process)
    asking.services.suspend_authority(
        principal=asking.admin, authority_id=suspended, now=asking.now
    )
    assert act(suspended, process=process).json() == first.json()
    assert is_suspended(asking, suspended)
    assert (
        counted(
            admin_connection,
            "SELECT count(*) FROM audit_entry WHERE action = 'authority.activated'",
        )
        == 1
    )


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"key": "profile-change"}, 409),
        ({"deciders": []}, 409),
        ({"namespace": "guest"}, 404),
        ({"namespace": "nowhere"}, 404),
        ({"parameters": {"subject": str(UUID(int=7))}}, 404),
        ({"parameters": {"subject": "Issuing CA"}}, 422),
        ({"parameters": {"subject": 7}}, 422),
        ({"parameters": {"act": "delete-authority"}}, 422),
        ({"parameters": {"act": {"activate-authority": 1}}}, 422),
    ],
    ids=str,
)
def test_another_process_or_a_malformed_step_leaves_it_suspended(
    asking: Any, suspended: UUID, changes: dict[str, Any], status: int
) -> None:
    assert act(suspended, **changes).status_code == status
    assert is_suspended(asking, suspended)


@pytest.mark.parametrize("role", ["pki-officer", "pki-auditor", "pki-requester"])
def test_only_who_manages_authorities_suspends_one(asking: Any, issuing: UUID, role: str) -> None:
    from pkakey.services.errors import NotPermitted

    with pytest.raises(NotPermitted):
        asking.services.suspend_authority(
            principal=asking.principal(role), authority_id=issuing, now=asking.now
        )
    assert not is_suspended(asking, issuing)


def test_the_command_suspends_and_names_the_way_back(
    asking: Any, issuing: UUID, capsys: Any
) -> None:
    from django.core.management import call_command
    from django.core.management.base import CommandError

    call_command("suspend_authority", str(issuing))
    assert "ca-activation" in capsys.readouterr().out
    assert is_suspended(asking, issuing)
    with pytest.raises(CommandError, match="authority"):
        call_command("suspend_authority", str(uuid4()))
