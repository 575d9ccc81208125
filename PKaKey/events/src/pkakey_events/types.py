"""The event types and their registry.

Field types are shared: a serial number is lower-case hex without prefix or leading zeros, a
digest is lower-case hex SHA-256, a time is aware and is kept in UTC.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    model_validator,
)


def _to_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""An aware time, kept in UTC."""

# RFC 5280 section 4.1.2.2: at most 20 octets, positive.
SerialNumber = Annotated[str, Field(pattern=r"^[1-9a-f][0-9a-f]{0,39}$")]
"""Lower-case hex without prefix, as everywhere in theDDT."""

SHA256Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest in lower-case hex."""

KeyIdentifier = Annotated[str, Field(pattern=r"^([0-9a-f]{2}){1,64}$")]
"""A key identifier's octets in lower-case hex."""

NamespaceName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$")]

ShortText = Annotated[str, Field(min_length=1, max_length=256)]
LongText = Annotated[str, Field(max_length=4096)]
# The largest integer that every JSON consumer of ours (PostgreSQL bigint) keeps exactly.
BigInteger = Annotated[int, Field(ge=0, le=2**63 - 1)]

RevocationReason = Literal[
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "removeFromCRL",
    "privilegeWithdrawn",
    "aACompromise",
]
"""RFC 5280 section 5.3.1."""


class EventName(BaseModel):
    """One subject alternative name, for example ``dns`` and ``www.example.test``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
    value: Annotated[str, Field(min_length=1, max_length=2048)]


class Event(BaseModel):
    """What every event type is: frozen, closed, with a type name and a version of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    TYPE: ClassVar[str]
    VERSION: ClassVar[int]


class CertificateIssuedV1(Event):
    """A certificate was signed and recorded."""

    TYPE: ClassVar[str] = "certificate.issued"
    VERSION: ClassVar[int] = 1

    certificate_id: UUID
    serial_number: SerialNumber
    authority_id: UUID
    profile: ShortText
    profile_version: Annotated[int, Field(ge=1, le=2**31 - 1)]
    subject: LongText
    names: Annotated[tuple[EventName, ...], Field(max_length=1000)]
    not_before: Moment
    not_after: Moment
    certificate_sha256: SHA256Hex
    source: ShortText

    @model_validator(mode="after")
    def _is_valid_for_some_time(self) -> Self:
        if self.not_after < self.not_before:
            raise ValueError("not_after lies before not_before.")
        return self


class CertificateIssuedV2(CertificateIssuedV1):
    """As version 1, with what an inventory asks about the key and the request.

    ``key_id`` is the subject key identifier (RFC 5280 section 4.2.1.2), None where a certificate
    has none; the algorithms are in words, such as ``EC P-256`` and ``ecdsa-with-SHA256``.
    """

    VERSION: ClassVar[int] = 2

    public_key_sha256: SHA256Hex
    key_id: KeyIdentifier | None
    key_algorithm: ShortText
    signature_algorithm: ShortText
    purpose: Annotated[str, Field(max_length=31)]
    request_id: Annotated[str, Field(max_length=64)]


class CertificateRevokedV1(Event):
    """A certificate was revoked; the next CRL and every OCSP answer from now on say so."""

    TYPE: ClassVar[str] = "certificate.revoked"
    VERSION: ClassVar[int] = 1

    certificate_id: UUID
    serial_number: SerialNumber
    authority_id: UUID
    reason: RevocationReason
    revoked_at: Moment


class CertificateExpiringV1(Event):
    """A certificate that is still valid ends soon."""

    TYPE: ClassVar[str] = "certificate.expiring"
    VERSION: ClassVar[int] = 1

    certificate_id: UUID
    serial_number: SerialNumber
    authority_id: UUID
    subject: LongText
    not_after: Moment
    days_left: Annotated[int, Field(ge=0, le=36_500)]


class AuthorityCreatedV1(Event):
    """An authority came to be: a self-signed root when it has no parent."""

    TYPE: ClassVar[str] = "authority.created"
    VERSION: ClassVar[int] = 1

    authority_id: UUID
    parent_id: UUID | None
    serial_number: SerialNumber
    subject: LongText
    not_before: Moment
    not_after: Moment
    certificate_sha256: SHA256Hex


class AuthorityCreatedV2(AuthorityCreatedV1):
    """As version 1, with its name, profile and key."""

    VERSION: ClassVar[int] = 2

    name: ShortText
    profile: ShortText
    key_algorithm: ShortText
    key_id: KeyIdentifier | None


class AuthorityGrantedV1(Event):
    """Another namespace may see this authority and issue from it; the envelope names the owner."""

    TYPE: ClassVar[str] = "authority.granted"
    VERSION: ClassVar[int] = 1

    authority_id: UUID
    granted_namespace: NamespaceName


class AuthoritySuspendedV1(Event):
    """An authority issues nothing from now on; its CRLs and OCSP responses go on.

    ``authority_version`` grows with each change: of two such events the one with the higher says
    how it is.
    """

    TYPE: ClassVar[str] = "authority.suspended"
    VERSION: ClassVar[int] = 1

    authority_id: UUID
    authority_version: BigInteger


class AuthorityActivatedV1(Event):
    """A suspended authority issues again; ``authority_version`` as in ``authority.suspended``."""

    TYPE: ClassVar[str] = "authority.activated"
    VERSION: ClassVar[int] = 1

    authority_id: UUID
    authority_version: BigInteger


class ProfilePublishedV1(Event):
    """A new version of a profile is the one that the namespace issues under from now on."""

    TYPE: ClassVar[str] = "profile.published"
    VERSION: ClassVar[int] = 1

    name: ShortText
    version: Annotated[int, Field(ge=1, le=2**31 - 1)]
    title: ShortText
    description: LongText
    kind: ShortText
    digest: SHA256Hex
    rules: dict[str, JsonValue]


class RequestAbandonedV1(Event):
    """A request was accepted, but nothing was ever signed for it."""

    TYPE: ClassVar[str] = "request.abandoned"
    VERSION: ClassVar[int] = 1

    request_id: UUID
    authority_id: UUID
    serial_number: SerialNumber
    subject: LongText
    profile: ShortText
    source: ShortText
    requested_by: ShortText
    requested_by_kind: ShortText
    requested_at: Moment
    note: LongText


class AuditRecordedV1(Event):
    """An entry was appended to the audit log.

    ``data`` is the entry's exact JSON text, and ``leaf_hash`` its RFC 9162 leaf hash.
    """

    TYPE: ClassVar[str] = "audit.recorded"
    VERSION: ClassVar[int] = 1

    entry_id: BigInteger
    action: ShortText
    target: Annotated[str, Field(max_length=256)]
    request_id: Annotated[str, Field(max_length=64)]
    data: Annotated[str, Field(max_length=64 * 1024)]
    leaf_hash: SHA256Hex


class CRLPublishedV1(Event):
    """A certificate revocation list was signed and can be fetched."""

    TYPE: ClassVar[str] = "crl.published"
    VERSION: ClassVar[int] = 1

    authority_id: UUID
    crl_number: BigInteger
    this_update: Moment
    next_update: Moment
    revoked_count: BigInteger
    crl_sha256: SHA256Hex


class GatewayCertificateRenewedV1(Event):
    """The gateway serves a new certificate of its own; the first one has no predecessor."""

    TYPE: ClassVar[str] = "gateway-certificate.renewed"
    VERSION: ClassVar[int] = 1

    certificate_id: UUID
    serial_number: SerialNumber
    previous_serial_number: SerialNumber | None
    not_after: Moment


EVENT_TYPES: Mapping[tuple[str, int], type[Event]] = MappingProxyType(
    {
        (event.TYPE, event.VERSION): event
        for event in (
            CertificateIssuedV1,
            CertificateIssuedV2,
            CertificateRevokedV1,
            CertificateExpiringV1,
            AuthorityCreatedV1,
            AuthorityCreatedV2,
            AuthorityGrantedV1,
            AuthoritySuspendedV1,
            AuthorityActivatedV1,
            ProfilePublishedV1,
            RequestAbandonedV1,
            AuditRecordedV1,
            CRLPublishedV1,
            GatewayCertificateRenewedV1,
        )
    }
)
"""Every published type by its name and version."""
