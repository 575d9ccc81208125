"""Revocation, and the CRLs that tell of it."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from pkakey.services.errors import Conflict, NotFound, NotPermitted
from pkakey_engine.errors import Refusal, Refused


def revoke(platform: Any, serial_number: str, reason: str = "keyCompromise", **more: Any) -> Any:
    arguments = {"principal": platform.admin, "now": platform.now} | more
    return platform.services.revoke_certificate(
        serial_number=serial_number, reason=reason, **arguments
    )


def current_crl(admin_connection: Any, authority_id: Any) -> x509.CertificateRevocationList:
    (der,) = admin_connection.execute(
        "SELECT der FROM status.current_crl(%s)", [authority_id]
    ).fetchone()
    return x509.load_der_x509_crl(der)


def test_the_crl_says_so_before_the_call_returns(platform: Any, admin_connection: Any) -> None:
    issued = platform.issue()
    revoked = revoke(platform, issued.serial_number)
    assert revoked.revoked_at == platform.now
    crl = current_crl(admin_connection, platform.issuing_id)
    entry = crl.get_revoked_certificate_by_serial_number(int(issued.serial_number, 16))
    assert entry is not None
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.key_compromise


def test_a_second_time_is_refused(platform: Any) -> None:
    issued = platform.issue()
    revoke(platform, issued.serial_number)
    with pytest.raises(Refused) as caught:
        revoke(platform, issued.serial_number, "superseded")
    assert caught.value.refusal is Refusal.REVOCATION_ALREADY_REVOKED


@pytest.mark.parametrize(
    ("reason", "refusal"),
    [
        ("", Refusal.REVOCATION_REASON_UNKNOWN),
        ("because", Refusal.REVOCATION_REASON_UNKNOWN),
        ("KEYCOMPROMISE", Refusal.REVOCATION_REASON_UNKNOWN),
        ("certificateHold", Refusal.REVOCATION_REASON_NOT_ALLOWED),
        ("cACompromise", Refusal.REVOCATION_REASON_NOT_ALLOWED),
        ("removeFromCRL", Refusal.REVOCATION_REASON_UNKNOWN),
    ],
)
def test_a_reason_that_does_not_fit_changes_nothing(
    platform: Any, admin_connection: Any, reason: str, refusal: Refusal
) -> None:
    issued = platform.issue()
    with pytest.raises(Refused) as caught:
        revoke(platform, issued.serial_number, reason)
    assert caught.value.refusal is refusal
    assert admin_connection.execute(
        "SELECT count(*) FROM certificates_certificate WHERE revoked_at IS NOT NULL"
    ).fetchone() == (0,)


def test_an_unknown_serial_number_is_not_found(platform: Any) -> None:
    with pytest.raises(NotFound):
        revoke(platform, "1234")


def test_a_certificate_of_another_namespace_is_not_found(platform: Any) -> None:
    issued = platform.issue()
    with pytest.raises(NotFound):
        revoke(platform, issued.serial_number, principal=platform.guest)


def test_the_authoritys_crl_has_the_certificates_of_every_namespace(
    platform: Any, admin_connection: Any
) -> None:
    issued = platform.issue(principal=platform.guest)
    revoke(platform, issued.serial_number, principal=platform.guest)
    crl = current_crl(admin_connection, platform.issuing_id)
    assert crl.get_revoked_certificate_by_serial_number(int(issued.serial_number, 16)) is not None


def test_who_may_not_revoke_is_refused(platform: Any) -> None:
    issued = platform.issue()
    with pytest.raises(NotPermitted):
        revoke(platform, issued.serial_number, principal=platform.principal("pki-requester"))


def test_an_officer_cannot_revoke_an_authority(platform: Any, admin_connection: Any) -> None:
    (serial_number,) = admin_connection.execute(
        "SELECT serial_number FROM authorities_authority WHERE id = %s", [platform.issuing_id]
    ).fetchone()
    with pytest.raises(NotPermitted):
        revoke(platform, serial_number, principal=platform.principal("pki-officer"))


def test_a_root_cannot_be_revoked_by_its_own_crl(platform: Any, admin_connection: Any) -> None:
    (serial_number,) = admin_connection.execute(
        "SELECT serial_number FROM authorities_authority WHERE id = %s", [platform.root_id]
    ).fetchone()
    with pytest.raises(Conflict):
        revoke(platform, serial_number)


def test_a_revocation_stands_when_the_signer_is_away_and_the_job_tells_it_later(
    platform: Any, outside: Any, admin_connection: Any, tmp_path: Path
) -> None:
    from dataclasses import replace

    from pkakey.services import Services
    from pkakey_signers.client import SignerClient

    issued = platform.issue()
    alone = Services(replace(outside, signer=SignerClient(tmp_path / "nobody.sock")))
    alone.revoke_certificate(
        principal=platform.admin,
        serial_number=issued.serial_number,
        reason="superseded",
        now=platform.now,
    )
    status = admin_connection.execute(
        "SELECT reason FROM status.certificate_status(%s, %s)",
        [platform.issuing_id, issued.serial_number],
    ).fetchall()
    assert status == [("superseded",)]
    assert platform.services.publish_due_crls(now=platform.now) == 1
    crl = current_crl(admin_connection, platform.issuing_id)
    assert crl.get_revoked_certificate_by_serial_number(int(issued.serial_number, 16)) is not None
    assert platform.services.publish_due_crls(now=platform.now) == 0


def test_crl_numbers_only_rise_and_openssl_style_readers_agree(
    platform: Any, admin_connection: Any
) -> None:
    first = platform.services.publish_crl(authority_id=platform.issuing_id, now=platform.now)
    second = platform.services.publish_crl(authority_id=platform.issuing_id, now=platform.now)
    assert second.number == first.number + 1
    crl = current_crl(admin_connection, platform.issuing_id)
    number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    assert number == second.number
    assert crl.next_update_utc == second.next_update


def test_an_unknown_authority_publishes_nothing(platform: Any) -> None:
    with pytest.raises(NotFound):
        platform.services.publish_crl(authority_id=uuid4(), now=platform.now)


def test_crls_are_published_again_at_half_of_their_life(platform: Any) -> None:
    services = platform.services
    assert services.publish_due_crls(now=platform.now + timedelta(days=3)) == 0
    assert services.publish_due_crls(now=platform.now + timedelta(days=4)) == 2


def test_many_revocations_at_once_cost_few_crls(platform: Any, admin_connection: Any) -> None:
    from django.db import connection
    from pkakey.store import direct

    issued = [platform.issue(f"h{number}.example.test") for number in range(8)]
    (before,) = admin_connection.execute("SELECT count(*) FROM authorities_crl").fetchone()

    def work(serial_number: str) -> None:
        try:
            revoke(platform, serial_number)
        finally:
            direct.close()
            connection.close()

    threads = [threading.Thread(target=work, args=(one.serial_number,)) for one in issued]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    crl = current_crl(admin_connection, platform.issuing_id)
    listed = {format(entry.serial_number, "x") for entry in crl}
    assert {one.serial_number for one in issued} <= listed
    (after,) = admin_connection.execute("SELECT count(*) FROM authorities_crl").fetchone()
    assert 1 <= after - before <= 8
