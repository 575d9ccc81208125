"""Events: the registry is frozen, envelopes round-trip, and nothing else is let in."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pkakey_events import (
    EVENT_TYPES,
    MAX_ENVELOPE_BYTES,
    Actor,
    AuditRecordedV1,
    AuthorityActivatedV1,
    AuthorityCreatedV1,
    AuthorityCreatedV2,
    AuthorityGrantedV1,
    AuthoritySuspendedV1,
    CertificateExpiringV1,
    CertificateIssuedV1,
    CertificateIssuedV2,
    CertificateRevokedV1,
    CRLPublishedV1,
    Envelope,
    Event,
    EventName,
    GatewayCertificateRenewedV1,
    MalformedEvent,
    ProfilePublishedV1,
    RequestAbandonedV1,
    parse_envelope,
)
from pydantic import ValidationError

ID = UUID("0196b1c2-7d1e-7000-8000-000000000001")
THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ACTOR = Actor(kind="token", id="42", name="build server")

EVENTS: list[Event] = [
    CertificateIssuedV1(
        certificate_id=ID,
        serial_number="1f",
        authority_id=ID,
        profile="tls-server",
        profile_version=1,
        subject="CN=www.example.test",
        names=(EventName(kind="dns", value="www.example.test"),),
        not_before=THEN,
        not_after=THEN + timedelta(days=90),
        certificate_sha256="a" * 64,
        source="api",
    ),
    CertificateRevokedV1(
        certificate_id=ID,
        serial_number="1f",
        authority_id=ID,
        reason="keyCompromise",
        revoked_at=THEN,
    ),
    CertificateExpiringV1(
        certificate_id=ID,
        serial_number="1f",
        authority_id=ID,
        subject="",
        not_after=THEN,
        days_left=7,
    ),
    AuthorityCreatedV1(
        authority_id=ID,
        parent_id=None,
        serial_number="1f",
        subject="CN=Root",
        not_before=THEN,
        not_after=THEN,
        certificate_sha256="0" * 64,
    ),
    CRLPublishedV1(
        authority_id=ID,
        crl_number=2**63 - 1,
        this_update=THEN,
        next_update=THEN,
        revoked_count=0,
        crl_sha256="0" * 64,
    ),
    GatewayCertificateRenewedV1(
        certificate_id=ID, serial_number="1f", previous_serial_number=None, not_after=THEN
    ),
    CertificateIssuedV2(
        certificate_id=ID,
        serial_number="1f",
        authority_id=ID,
        profile="tls-server",
        profile_version=1,
        subject="CN=www.example.test",
        names=(EventName(kind="dns", value="www.example.test"),),
        not_before=THEN,
        not_after=THEN + timedelta(days=90),
        certificate_sha256="a" * 64,
        source="api",
        public_key_sha256="b" * 64,
        key_id="c0" * 20,
        key_algorithm="EC P-256",
        signature_algorithm="ecdsa-with-SHA256",
        purpose="",
        request_id="",
    ),
    AuthorityCreatedV2(
        authority_id=ID,
        parent_id=ID,
        serial_number="1f",
        subject="CN=Issuing",
        not_before=THEN,
        not_after=THEN,
        certificate_sha256="0" * 64,
        name="Issuing",
        profile="issuing-ca",
        key_algorithm="EC P-256",
        key_id=None,
    ),
    AuthorityGrantedV1(authority_id=ID, granted_namespace="guest"),
    AuthoritySuspendedV1(authority_id=ID, authority_version=2),
    AuthorityActivatedV1(authority_id=ID, authority_version=2**63 - 1),
    ProfilePublishedV1(
        name="tls-server",
        version=1,
        title="TLS server",
        description="",
        kind="end-entity",
        digest="0" * 64,
        rules={"names": {"minimum": 1}},
    ),
    RequestAbandonedV1(
        request_id=ID,
        authority_id=ID,
        serial_number="1f",
        subject="",
        profile="tls-server",
        source="api",
        requested_by="ada",
        requested_by_kind="user",
        requested_at=THEN,
        note="The signer refused it.",
    ),
    AuditRecordedV1(
        entry_id=1, action="token.created", target="", request_id="", data="{}", leaf_hash="0" * 64
    ),
]

# The published shape of each type. A change here breaks consumers: add a version instead.
PUBLISHED = {
    ("certificate.issued", 1): "authority_id certificate_id certificate_sha256 names not_after "
    "not_before profile profile_version serial_number source subject",
    ("certificate.revoked", 1): "authority_id certificate_id reason revoked_at serial_number",
    ("certificate.expiring", 1): "authority_id certificate_id days_left not_after serial_number "
    "subject",
    ("authority.created", 1): "authority_id certificate_sha256 not_after not_before parent_id "
    "serial_number subject",
    ("crl.published", 1): "authority_id crl_number crl_sha256 next_update revoked_count "
    "this_update",
    ("gateway-certificate.renewed", 1): "certificate_id not_after previous_serial_number "
    "serial_number",
    ("certificate.issued", 2): "authority_id certificate_id certificate_sha256 key_algorithm "
    "key_id names not_after not_before profile profile_version public_key_sha256 purpose "
    "request_id serial_number signature_algorithm source subject",
    ("authority.created", 2): "authority_id certificate_sha256 key_algorithm key_id name "
    "not_after not_before parent_id profile serial_number subject",
    ("authority.granted", 1): "authority_id granted_namespace",
    ("authority.suspended", 1): "authority_id authority_version",
    ("authority.activated", 1): "authority_id authority_version",
    ("profile.published", 1): "description digest kind name rules title version",
    ("request.abandoned", 1): "authority_id note profile request_id requested_at requested_by "
    "requested_by_kind serial_number source subject",
    ("audit.recorded", 1): "action data entry_id leaf_hash request_id target",
}


def envelope(event: Event = EVENTS[0]) -> Envelope:
    return Envelope.of(event, id=ID, namespace="default", occurred_at=THEN, actor=ACTOR)


def as_json(**changes: Any) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(envelope().to_json())
    return {**data, **changes}


def test_the_published_types_have_not_changed() -> None:
    fields = {key: " ".join(sorted(event.model_fields)) for key, event in EVENT_TYPES.items()}
    assert fields == PUBLISHED


def subclasses(kind: type[Event]) -> Iterator[type[Event]]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


def test_every_event_class_is_in_the_registry_under_its_own_name() -> None:
    assert set(subclasses(Event)) == set(EVENT_TYPES.values())
    assert all(key == (event.TYPE, event.VERSION) for key, event in EVENT_TYPES.items())


def test_the_registry_cannot_be_changed_at_run_time() -> None:
    with pytest.raises(TypeError):
        EVENT_TYPES[("x", 1)] = CertificateIssuedV1  # type: ignore[index]  # That is the point.


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: f"{event.TYPE}-{event.VERSION}")
def test_each_event_survives_the_way_through_json(event: Event) -> None:
    sent = envelope(event)
    received = parse_envelope(sent.to_json())
    assert received == sent
    assert type(received.payload) is type(event)


def test_an_event_cannot_be_changed_after_it_was_made() -> None:
    with pytest.raises(ValidationError):
        EVENTS[0].serial_number = "2"  # type: ignore[attr-defined]  # That is the point.
    with pytest.raises(ValidationError):
        envelope().namespace = "other"


def test_times_are_kept_in_utc() -> None:
    local = THEN.astimezone(timezone(timedelta(hours=5)))
    assert parse_envelope(json.dumps(as_json(occurred_at=local.isoformat()))).occurred_at == THEN
    assert json.loads(envelope().to_json())["occurred_at"] == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"id": "not-a-uuid"}, id="the id is no UUID"),
        pytest.param({"namespace": ""}, id="empty namespace"),
        pytest.param({"namespace": "Up"}, id="upper-case namespace"),
        pytest.param({"occurred_at": "2026-01-02T03:04:05"}, id="a time without zone"),
        pytest.param({"actor": None}, id="nobody did it"),
        pytest.param({"actor": {"kind": "god", "id": "1", "name": "x"}}, id="unknown actor kind"),
        pytest.param({"payload": {}}, id="empty payload"),
        pytest.param({"payload": []}, id="payload is a list"),
        pytest.param({"surprise": 1}, id="a field that nobody knows"),
        pytest.param({"version": "one"}, id="version in words"),
    ],
)
def test_an_envelope_that_does_not_fit_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedEvent) as caught:
        parse_envelope(json.dumps(as_json(**changes)))
    assert caught.value.code == "event.malformed"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("serial_number", "1F", id="upper-case hex"),
        pytest.param("serial_number", "0x1f", id="hex with a prefix"),
        pytest.param("serial_number", "01f", id="leading zero"),
        pytest.param("serial_number", "0", id="zero"),
        pytest.param("serial_number", "1" * 41, id="more than 20 octets"),
        pytest.param("serial_number", "1f\n", id="trailing newline"),
        pytest.param("certificate_sha256", "a" * 63, id="short digest"),
        pytest.param("not_after", "2020-01-01T00:00:00Z", id="ends before it begins"),
        pytest.param("profile_version", 0, id="version zero"),
        pytest.param("names", [{"kind": "dns", "value": "a"}] * 1001, id="too many names"),
        pytest.param("names", [{"kind": "DNS", "value": "a"}], id="upper-case kind of name"),
        pytest.param("extra", 1, id="a field of no version"),
    ],
)
def test_a_payload_that_does_not_fit_its_type_is_refused(field: str, value: object) -> None:
    data = as_json()
    data["payload"][field] = value
    with pytest.raises(MalformedEvent) as caught:
        parse_envelope(json.dumps(data))
    assert caught.value.code == "event.malformed"
    assert "payload" in caught.value.detail or field == "not_after"


@pytest.mark.parametrize("changes", [{"version": 9}, {"type": "certificate.eaten"}, {"type": ""}])
def test_an_unknown_type_or_version_has_its_own_code(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedEvent) as caught:
        parse_envelope(json.dumps(as_json(**changes)))
    assert caught.value.code == "event.unknown-type"


def test_the_payload_of_another_type_is_refused() -> None:
    with pytest.raises(MalformedEvent):
        parse_envelope(json.dumps(as_json(type="certificate.revoked")))
    with pytest.raises(ValidationError):
        Envelope(
            id=ID,
            type="certificate.revoked",
            version=1,
            namespace="default",
            occurred_at=THEN,
            actor=ACTOR,
            payload=EVENTS[0],
        )


def test_a_text_one_byte_too_long_is_refused_before_it_is_parsed() -> None:
    fits = envelope().to_json().ljust(MAX_ENVELOPE_BYTES)
    assert parse_envelope(fits) == envelope()
    with pytest.raises(MalformedEvent) as caught:
        parse_envelope(fits + b" ")
    assert caught.value.code == "event.too-large"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"type":' * 20_000,
        "\ud800",
        envelope().to_json()[:-1],
        envelope().to_json() + b"x",
    ],
    ids=repr,
)
def test_what_is_no_event_at_all_is_refused(data: bytes | str) -> None:
    with pytest.raises(MalformedEvent):
        parse_envelope(data)


@given(st.binary(max_size=2000))
def test_no_bytes_raise_anything_but_malformed_event(data: bytes) -> None:
    with pytest.raises(MalformedEvent):
        parse_envelope(data)


def test_a_refusal_does_not_repeat_what_came() -> None:
    data = as_json()
    data["payload"]["serial_number"] = "SECRET"
    with pytest.raises(MalformedEvent) as caught:
        parse_envelope(json.dumps(data))
    assert "SECRET" not in str(caught.value)
    assert "payload.serial_number" in caught.value.detail
