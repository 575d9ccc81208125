"""What is left when a process dies between the two commits, and how it is mended."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest


@pytest.fixture
def broken_store(admin_connection: Any) -> Iterator[None]:
    """Every insert of a certificate fails, as if the process had died after the signature."""
    admin_connection.execute(
        "CREATE FUNCTION public.break_it() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'broken on purpose'; END $$"
    )
    admin_connection.execute(
        "CREATE TRIGGER break_it BEFORE INSERT ON certificates_certificate "
        "FOR EACH ROW EXECUTE FUNCTION public.break_it()"
    )
    yield
    admin_connection.execute("DROP TRIGGER IF EXISTS break_it ON certificates_certificate")
    admin_connection.execute("DROP FUNCTION IF EXISTS public.break_it()")


def mend(admin_connection: Any) -> None:
    admin_connection.execute("DROP TRIGGER break_it ON certificates_certificate")


def intents(admin_connection: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = admin_connection.execute(
        "SELECT id, serial_number, state FROM certificates_intent WHERE purpose = 'leaf' "
        "AND source = 'api'"
    ).fetchall()
    return found


def test_the_insert_after_the_signature_fails_and_the_reconciler_finishes(
    platform: Any, broken_store: None, admin_connection: Any, signer_process: Path
) -> None:
    from pkakey.services.log_comparison import unknown_signatures

    with pytest.raises(psycopg.errors.RaiseException, match="broken on purpose"):
        platform.issue()
    [(intent_id, serial_number, state)] = intents(admin_connection)
    assert state == "open"
    # It was signed, and the open intent accounts for it.
    assert serial_number not in unknown_signatures(signer_process / "signer.log")[1]

    mend(admin_connection)
    assert platform.services.reconcile_intents(now=platform.now + timedelta(seconds=59)) == 0
    assert platform.services.reconcile_intents(now=platform.now + timedelta(seconds=61)) == 1
    assert intents(admin_connection) == [(intent_id, serial_number, "completed")]
    # The certificate that may exist can be revoked.
    revoked = platform.services.revoke_certificate(
        principal=platform.admin,
        serial_number=serial_number,
        reason="superseded",
        now=platform.now + timedelta(seconds=62),
    )
    assert revoked.serial_number == serial_number


def test_while_the_store_is_broken_the_reconciler_leaves_the_intent_open(
    platform: Any, broken_store: None, admin_connection: Any
) -> None:
    with pytest.raises(psycopg.errors.RaiseException):
        platform.issue()
    later = platform.now + timedelta(minutes=5)
    assert platform.services.reconcile_intents(now=later) == 0
    assert [row[2] for row in intents(admin_connection)] == ["open"]


def test_a_client_that_asks_again_with_its_key_gets_the_certificate_of_the_first_request(
    platform: Any, broken_store: None, admin_connection: Any
) -> None:
    from pkakey_engine.testing.requests import make_csr

    sent = make_csr(common_name="a.test", dns=["a.test"])
    with pytest.raises(psycopg.errors.RaiseException):
        platform.issue(csr=sent, idempotency_key="k")
    [(_, serial_number, _)] = intents(admin_connection)
    mend(admin_connection)
    again = platform.issue(csr=sent, idempotency_key="k")
    assert again.serial_number == serial_number
    assert again.replayed


def test_what_the_signer_refuses_for_good_is_given_up(
    platform: Any, broken_store: None, admin_connection: Any
) -> None:
    with pytest.raises(psycopg.errors.RaiseException):
        platform.issue(idempotency_key="k")
    # The recorded bytes were changed: the signer's own log knows others for this intent.
    admin_connection.execute(
        "UPDATE certificates_intent SET tbs = '\\x3000', tbs_sha256 = sha256('\\x3000') "
        "WHERE state = 'open'"
    )
    mend(admin_connection)
    platform.services.reconcile_intents(now=platform.now + timedelta(minutes=5))
    [(_, serial_number, state)] = intents(admin_connection)
    assert state == "abandoned"
    assert admin_connection.execute(
        "SELECT count(*) FROM certificates_certificate WHERE serial_number = %s", [serial_number]
    ).fetchone() == (0,)
    # The key is free again.
    assert not platform.issue(idempotency_key="k").replayed


def test_a_half_made_authority_is_finished_by_the_next_call(
    platform: Any, broken_store: None, admin_connection: Any
) -> None:
    wanted = {
        "principal": platform.admin,
        "common_name": "Second CA",
        "organization": "theDDT",
        "profile": "issuing-ca",
        "parent_id": platform.root_id,
        "algorithm": "ecdsa-p256",
        "now": platform.now,
    }
    with pytest.raises(psycopg.errors.RaiseException):
        platform.services.create_authority(**wanted)
    mend(admin_connection)
    made = platform.services.create_authority(**wanted)
    assert platform.issue(authority_id=made.id).authority_id == made.id
    assert admin_connection.execute(
        "SELECT count(*) FROM certificates_intent WHERE beneficiary_id = %s", [made.id]
    ).fetchone() == (1,)


def test_the_reconciler_activates_an_authority_whose_creation_died(
    platform: Any, broken_store: None, admin_connection: Any
) -> None:
    with pytest.raises(psycopg.errors.RaiseException):
        platform.services.create_authority(
            principal=platform.admin,
            common_name="Third CA",
            organization="theDDT",
            profile="issuing-ca",
            parent_id=platform.root_id,
            algorithm="ecdsa-p256",
            now=platform.now,
        )
    mend(admin_connection)
    platform.services.reconcile_intents(now=platform.now + timedelta(minutes=2))
    assert admin_connection.execute(
        "SELECT state FROM authorities_authority WHERE name = 'Third CA'"
    ).fetchone() == ("active",)
    assert platform.services.renew_ocsp_responders(now=platform.now) == 1
    assert platform.services.publish_due_crls(now=platform.now) >= 1
