"""Issuing through the real signer and the real database."""

import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from pkakey.services.errors import (
    Conflict,
    NotFound,
    NotPermitted,
    ServiceUnavailable,
    Unauthenticated,
)
from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.testing.requests import make_csr


def csr(name: str = "www.example.test") -> bytes:
    made: bytes = make_csr(common_name=name, dns=[name])
    return made


def count(connection: Any, table: str) -> int:
    number: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
    return number


@pytest.fixture
def nothing_stored(platform: Any, admin_connection: Any) -> Iterator[None]:
    """Fail when the test leaves an intent, certificate, audit entry or event behind."""
    tables = (
        "certificates_intent",
        "certificates_certificate",
        "audit_entry WHERE action <> 'token.created'",
        "outbox_event WHERE type <> 'audit.recorded'",  # Those are the entries above.
    )
    before = [count(admin_connection, table) for table in tables]
    yield
    assert [count(admin_connection, table) for table in tables] == before


def test_openssl_verifies_what_was_issued(platform: Any, tmp_path: Path) -> None:
    issued = platform.issue("www.example.test")
    (tmp_path / "root.pem").write_text(issued.chain[-1])
    (tmp_path / "chain.pem").write_text(issued.chain[0])
    (tmp_path / "leaf.pem").write_text(issued.pem)
    done = subprocess.run(
        [
            *("openssl", "verify", "-x509_strict", "-purpose", "sslserver"),
            *("-verify_hostname", "www.example.test"),
            *("-CAfile", "root.pem", "-untrusted", "chain.pem", "leaf.pem"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert issued.serial_number == format(
        x509.load_der_x509_certificate(issued.der).serial_number, "x"
    )


def test_the_certificate_names_where_its_status_is(platform: Any) -> None:
    certificate = x509.load_der_x509_certificate(platform.issue().der)
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    url = f"http://pkakey.theddt.localhost:8080/crl/{platform.issuing_id}.crl"
    assert [point.full_name[0].value for point in points] == [url]


def test_certificate_audit_entry_and_event_come_together(
    platform: Any, admin_connection: Any
) -> None:
    issued = platform.issue()
    data, leaf = admin_connection.execute(
        "SELECT data, leaf_hash = sha256('\\x00'::bytea || convert_to(data, 'UTF8')) "
        "FROM audit_entry WHERE target = %s",
        [issued.serial_number],
    ).fetchone()
    entry = json.loads(data)
    assert leaf
    assert entry["actor"]["name"] == "ada"
    assert entry["request"] == platform.admin.request_id
    payload = admin_connection.execute(
        "SELECT payload FROM outbox_event WHERE payload->>'serial_number' = %s",
        [issued.serial_number],
    ).fetchone()[0]
    assert payload["names"] == [{"kind": "dns", "value": "www.example.test"}]
    states = admin_connection.execute(
        "SELECT state FROM certificates_intent WHERE id = %s", [issued.id]
    ).fetchall()
    assert states == [("completed",)]


@pytest.mark.parametrize(
    ("sent", "profile", "refusal"),
    [
        (b"", "tls-server", Refusal.CSR_MALFORMED),
        (b"\x00" * 100, "tls-server", Refusal.CSR_MALFORMED),
        (b"x" * 70_000, "tls-server", Refusal.CSR_TOO_LARGE),
        (csr()[:-40], "tls-server", Refusal.CSR_MALFORMED),
        (csr(), "no-such-profile", Refusal.PROFILE_UNKNOWN),
        (csr(), "nul\x00", Refusal.PROFILE_UNKNOWN),
        (csr(), "root-ca", Refusal.PROFILE_NOT_APPLICABLE),
        (csr(), "issuing-ca", Refusal.PROFILE_NOT_APPLICABLE),
        (csr(), "ocsp-signer", Refusal.PROFILE_NOT_APPLICABLE),
        (make_csr(common_name="not a name"), "tls-server", None),
    ],
    ids=[
        "nothing",
        "zeros",
        "more than 64 KiB",
        "cut short",
        "unknown profile",
        "a profile's name that no column holds",
        "a root is never issued from a request",
        "an authority is never issued from a request",
        "a responder answers for the authority, so nobody asks for one",
        "a server needs a DNS name",
    ],
)
def test_what_is_refused_leaves_nothing(
    platform: Any, nothing_stored: None, sent: bytes, profile: str, refusal: Refusal | None
) -> None:
    with pytest.raises(Refused) as caught:
        platform.issue(csr=sent, profile=profile)
    if refusal is not None:
        assert caught.value.refusal is refusal


@pytest.mark.parametrize("role", ["pki-auditor", "db-admin", "content-editor", "unknown"])
def test_who_may_not_issue_is_refused(platform: Any, nothing_stored: None, role: str) -> None:
    with pytest.raises(NotPermitted):
        platform.issue(principal=platform.principal(role))


def test_a_token_without_the_scope_is_refused(platform: Any) -> None:
    new = platform.token("certificates:read")
    reader = platform.services.authenticate_token(new.token, platform.now)
    with pytest.raises(NotPermitted):
        platform.issue(principal=reader)


def test_the_database_itself_checks_the_scope(platform: Any, nothing_stored: None) -> None:
    new = platform.token("certificates:read")
    reader = platform.services.authenticate_token(new.token, platform.now)
    forged = replace(reader, scopes=frozenset({"certificates:issue"}))
    with pytest.raises(NotPermitted):
        platform.issue(principal=forged)


def test_an_unknown_authority_is_not_found(platform: Any, nothing_stored: None) -> None:
    with pytest.raises(NotFound):
        platform.issue(authority_id=uuid4())


def test_an_authority_of_another_namespace_is_not_found(
    platform: Any, admin_connection: Any
) -> None:
    admin_connection.execute("DELETE FROM authorities_grant")
    with pytest.raises(NotFound):
        platform.issue(principal=platform.guest, authority_id=platform.issuing_id)


def test_a_namespace_issues_from_an_authority_that_was_granted(
    platform: Any, admin_connection: Any
) -> None:
    issued = platform.issue(principal=platform.guest)
    assert issued.authority_id == platform.issuing_id
    owner = admin_connection.execute(
        "SELECT namespace_id FROM certificates_certificate WHERE id = %s", [issued.id]
    ).fetchone()
    assert owner == (platform.guest.namespace_id,)


def test_a_grant_that_was_taken_back_ends_at_once(platform: Any, admin_connection: Any) -> None:
    platform.issue(principal=platform.guest)
    admin_connection.execute("DELETE FROM authorities_grant")
    with pytest.raises(NotFound):
        platform.issue(principal=platform.guest)


def test_a_changed_profile_holds_at_once(platform: Any, admin_connection: Any) -> None:
    platform.issue()
    admin_connection.execute("UPDATE profiles_profile SET is_current = false")
    with pytest.raises(Refused) as caught:
        platform.issue()
    assert caught.value.refusal is Refusal.PROFILE_UNKNOWN


def test_the_same_key_gives_the_same_certificate(platform: Any, admin_connection: Any) -> None:
    sent = csr()
    first = platform.issue(csr=sent, idempotency_key="k1")
    second = platform.issue(csr=sent, idempotency_key="k1", now=platform.now + timedelta(hours=1))
    assert (first.replayed, second.replayed) == (False, True)
    assert second.der == first.der
    assert second.chain == first.chain
    assert second.names == first.names


def test_the_same_key_with_another_request_is_a_conflict(platform: Any) -> None:
    platform.issue(idempotency_key="k1")
    with pytest.raises(Conflict) as caught:
        platform.issue("other.example.test", idempotency_key="k1")
    assert caught.value.code == "idempotency.key-reused"


def test_two_people_may_use_the_same_key(platform: Any) -> None:
    sent = csr()
    first = platform.issue(csr=sent, idempotency_key="k1")
    other = replace(platform.admin, id="9")
    assert platform.issue(csr=sent, idempotency_key="k1", principal=other).id != first.id


def test_one_key_at_once_makes_one_certificate(platform: Any, admin_connection: Any) -> None:
    from django.db import connection
    from pkakey.store import direct

    sent = csr()
    got: list[Any] = []

    def ask() -> None:
        try:
            got.append(platform.issue(csr=sent, idempotency_key="k1").der)
        finally:
            direct.close()
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 4
    assert len(set(got)) == 1


def test_a_preview_shows_what_is_issued_and_stores_nothing(
    platform: Any, nothing_stored: None
) -> None:
    preview = platform.services.preview_certificate(
        principal=platform.admin, csr=csr(), profile="tls-server", now=platform.now
    )
    assert [name.value for name in preview.names] == ["www.example.test"]
    assert preview.authority_id == platform.issuing_id
    assert {extension.name for extension in preview.extensions}


def test_without_a_signer_the_intent_waits_and_the_client_is_told(
    platform: Any, outside: Any, admin_connection: Any, tmp_path: Path
) -> None:
    from pkakey.services import Services
    from pkakey_signers.client import SignerClient

    alone = Services(replace(outside, signer=SignerClient(tmp_path / "nobody.sock")))
    with pytest.raises(ServiceUnavailable):
        alone.issue_certificate(
            principal=platform.admin,
            csr=csr(),
            profile="tls-server",
            now=platform.now,
            source="api",
        )
    assert admin_connection.execute(
        "SELECT count(*) FROM certificates_intent WHERE state = 'open'"
    ).fetchone() == (1,)
    later = platform.now + timedelta(seconds=90)
    assert platform.services.reconcile_intents(now=later) == 1
    assert admin_connection.execute(
        "SELECT count(*) FROM certificates_certificate WHERE names = '{dns:www.example.test}'"
    ).fetchone() == (1,)


def test_a_revoked_token_issues_nothing_though_it_is_remembered(
    platform: Any, nothing_stored: None, admin_connection: Any
) -> None:
    from pkakey.services import tokens

    new = platform.token("certificates:issue", "certificates:read")
    holder = platform.services.authenticate_token(new.token, platform.now)
    admin_connection.execute("UPDATE tokens_token SET revoked_at = now()")
    assert tokens._known
    with pytest.raises(Unauthenticated, match=r"token\.revoked"):
        platform.issue(principal=holder)
