"""What the data API's tests see: two namespaces, told in PKaKey's own event types."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from pkakey_events import (
    Actor,
    AuditRecordedV1,
    AuthorityActivatedV1,
    AuthorityCreatedV2,
    AuthorityGrantedV1,
    AuthoritySuspendedV1,
    CertificateIssuedV1,
    CertificateIssuedV2,
    CertificateRevokedV1,
    CRLPublishedV1,
    Envelope,
    Event,
    EventName,
    ProfilePublishedV1,
    RequestAbandonedV1,
)

NAMES = UUID("7f1d9e52-0000-4000-8000-000000000000")
NOW = datetime.now(tz=UTC).replace(microsecond=0)
ADA = Actor(kind="user", id="7", name="ada")


def id_of(name: str) -> UUID:
    """Return the fixed id of something by its name."""
    return uuid5(NAMES, name)


ROOT, ISSUING, PRIVATE = id_of("root"), id_of("issuing"), id_of("guest's own")
_ALL: list[dict[str, Any]] = []


def serial(name: str) -> str:
    """Return the fixed serial number of a certificate by its name."""
    return id_of(name).hex.lstrip("0")


def fingerprint(name: str) -> str:
    return (id_of(name).hex * 2)[:64]


def key_id(name: str) -> str:
    return (id_of(name).hex * 2)[:40]


def envelope(event: Event, *, namespace: str, at: datetime = NOW) -> dict[str, Any]:
    number = len(_ALL)
    made: dict[str, Any] = Envelope.of(
        event, id=id_of(f"event {number}"), namespace=namespace, occurred_at=at, actor=ADA
    ).model_dump(mode="json")
    _ALL.append(made)
    return made


def certificate(
    name: str,
    *,
    namespace: str = "default",
    days: float = 90,
    authority: UUID = ISSUING,
    issued_days_ago: float = 1,
) -> None:
    at = NOW - timedelta(days=issued_days_ago)
    envelope(
        CertificateIssuedV2(
            certificate_id=id_of(name),
            serial_number=serial(name),
            authority_id=authority,
            profile="tls-server",
            profile_version=1,
            subject=f"CN={name}",
            names=(EventName(kind="dns", value=name), EventName(kind="ip", value="192.0.2.7")),
            not_before=at,
            not_after=NOW + timedelta(days=days),
            certificate_sha256=fingerprint(name),
            source="api",
            public_key_sha256=fingerprint(name)[::-1],
            key_id=key_id(name),
            key_algorithm="RSA 3072 bits" if namespace == "guest" else "EC P-256",
            signature_algorithm="ecdsa-with-SHA256",
            purpose="",
            request_id="",
        ),
        namespace=namespace,
        at=at,
    )


def authority(name: str, authority_id: UUID, parent: UUID | None, namespace: str) -> None:
    envelope(
        AuthorityCreatedV2(
            authority_id=authority_id,
            parent_id=parent,
            serial_number=serial(name),
            subject=f"CN={name}",
            not_before=NOW,
            not_after=NOW + timedelta(days=3650),
            certificate_sha256=fingerprint(name),
            name=name,
            profile="issuing-ca",
            key_algorithm="EC P-384",
            key_id=key_id(name),
        ),
        namespace=namespace,
    )


def suspension(again: UUID, once: UUID) -> None:
    """Suspend both, activate both, and suspend the first again."""
    for version, change in enumerate((AuthoritySuspendedV1, AuthorityActivatedV1), start=2):
        for authority_id, namespace in ((again, "default"), (once, "guest")):
            envelope(
                change(authority_id=authority_id, authority_version=version), namespace=namespace
            )
    envelope(AuthoritySuspendedV1(authority_id=again, authority_version=4), namespace="default")


def audit(entry_id: int, action: str, namespace: str) -> None:
    envelope(
        AuditRecordedV1(
            entry_id=entry_id,
            action=action,
            target="x",
            request_id="r",
            data=f'{{"entry": {entry_id}}}',
            leaf_hash="0" * 64,
        ),
        namespace=namespace,
    )


def events() -> list[dict[str, Any]]:
    """Return every event, in order."""
    _ALL.clear()
    authority("root", ROOT, None, "default")
    authority("issuing", ISSUING, ROOT, "default")
    authority("guest's own", PRIVATE, None, "guest")
    granted = AuthorityGrantedV1(authority_id=ISSUING, granted_namespace="guest")
    envelope(granted, namespace="default")
    suspension(ISSUING, PRIVATE)
    for namespace in ("default", "guest"):
        for version in (1, 2):
            envelope(
                ProfilePublishedV1(
                    name="tls-server",
                    version=version,
                    title="TLS server",
                    description="",
                    kind="end-entity",
                    digest="0" * 64,
                    rules={"version": version},
                ),
                namespace=namespace,
            )
    certificate("www.example.test")
    certificate("mail.example.test")
    certificate("soon.example.test", days=5)
    certificate("past.example.test", days=-2, issued_days_ago=92)
    certificate("gone.example.test")
    certificate("100%_sure.example.test")
    certificate("secret.guest.test", namespace="guest")
    certificate("inner.guest.test", namespace="guest", authority=PRIVATE)
    # One of the first version: an outbox that is older than version 2 of the type.
    envelope(
        CertificateIssuedV1(
            certificate_id=id_of("old.example.test"),
            serial_number=serial("old.example.test"),
            authority_id=ISSUING,
            profile="tls-server",
            profile_version=1,
            subject="CN=old.example.test",
            names=(),
            not_before=NOW,
            not_after=NOW + timedelta(days=90),
            certificate_sha256=fingerprint("old.example.test"),
            source="api",
        ),
        namespace="default",
    )
    envelope(
        CertificateRevokedV1(
            certificate_id=id_of("gone.example.test"),
            serial_number=serial("gone.example.test"),
            authority_id=ISSUING,
            reason="keyCompromise",
            revoked_at=NOW,
        ),
        namespace="default",
    )
    for number in (1, 2):
        envelope(
            CRLPublishedV1(
                authority_id=ISSUING,
                crl_number=number,
                this_update=NOW,
                next_update=NOW + timedelta(days=7),
                revoked_count=number,
                crl_sha256=fingerprint("crl"),
            ),
            namespace="default",
        )
    envelope(
        RequestAbandonedV1(
            request_id=id_of("abandoned"),
            authority_id=ISSUING,
            serial_number="abc",
            subject="CN=never.example.test",
            profile="tls-server",
            source="api",
            requested_by="ada",
            requested_by_kind="user",
            requested_at=NOW,
            note="The signer refused it.",
        ),
        namespace="default",
    )
    audit(1, "certificate.issued", "default")
    audit(2, "token.created", "default")
    audit(3, "certificate.issued", "guest")
    return list(_ALL)
