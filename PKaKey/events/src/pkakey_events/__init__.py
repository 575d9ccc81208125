"""Versioned event types: what one service of theDDT may tell another.

An event says what happened, in the past tense, and carries what a consumer needs to act without
asking back. A published type never changes: a new shape is a new version beside the old one.
Delivery is at least once, so a consumer knows an event by its envelope's ``id``.
"""

from pkakey_events.envelope import (
    MAX_ENVELOPE_BYTES,
    Actor,
    Envelope,
    MalformedEvent,
    parse_envelope,
)
from pkakey_events.types import (
    EVENT_TYPES,
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
    Event,
    EventName,
    GatewayCertificateRenewedV1,
    ProfilePublishedV1,
    RequestAbandonedV1,
)

__all__ = [
    "EVENT_TYPES",
    "MAX_ENVELOPE_BYTES",
    "Actor",
    "AuditRecordedV1",
    "AuthorityActivatedV1",
    "AuthorityCreatedV1",
    "AuthorityCreatedV2",
    "AuthorityGrantedV1",
    "AuthoritySuspendedV1",
    "CRLPublishedV1",
    "CertificateExpiringV1",
    "CertificateIssuedV1",
    "CertificateIssuedV2",
    "CertificateRevokedV1",
    "Envelope",
    "Event",
    "EventName",
    "GatewayCertificateRenewedV1",
    "MalformedEvent",
    "ProfilePublishedV1",
    "RequestAbandonedV1",
    "parse_envelope",
]
