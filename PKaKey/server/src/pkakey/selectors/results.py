"""What the selectors return: frozen values for the fronts to render, no rows of the store."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pkakey_engine.issuance import ExtensionInWords
from pkakey_engine.names import Name

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """One page of a list; a cursor is opaque text, or None where there is no such page.

    `count` is exact up to `COUNT_CAP`; `count_capped` says that there are more than that.
    """

    items: tuple[Item, ...]
    next_cursor: str | None
    previous_cursor: str | None
    count: int
    count_capped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateItem:
    """A certificate as a list shows it; `status` is valid, expired or revoked."""

    id: UUID
    serial_number: str
    subject: str
    names: tuple[Name, ...]
    profile: str
    profile_version: int
    authority_id: UUID
    authority_name: str
    status: str
    not_before: datetime
    not_after: datetime
    issued_at: datetime
    revoked_at: datetime | None
    revocation_reason: str | None
    requested_by: str
    source: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateDetail(CertificateItem):
    """One certificate with its chain (PEM, issuer first) and its extensions in words."""

    pem: str
    der: bytes
    sha256: str
    public_key_sha256: str
    key: str
    signature_algorithm: str
    chain: list[str]
    extensions: list[ExtensionInWords]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityItem:
    """A certification authority with its certificate; `chain` has the authorities above it."""

    id: UUID
    name: str
    subject: str
    parent_id: UUID | None
    profile: str
    algorithm: str
    serial_number: str
    sha256: str
    not_before: datetime
    not_after: datetime
    pem: str
    der: bytes
    chain: list[str]
    is_default: bool
    is_own: bool
    is_suspended: bool
    crl_number: int | None
    crl_this_update: datetime | None
    crl_next_update: datetime | None
    revoked_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityNode:
    """An authority in the tree, with the authorities below it."""

    authority: AuthorityItem
    children: tuple["AuthorityNode", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileItem:
    """The current version of a profile; `data` is its canonical content."""

    id: UUID
    name: str
    version: int
    digest: str
    data: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenItem:
    """An API token without its secret, of which only a digest is kept."""

    id: UUID
    name: str
    scopes: tuple[str, ...]
    created_by: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One entry of the audit log; `leaf_hash` is hex."""

    id: int
    at: datetime
    action: str
    actor_kind: str
    actor_id: str
    actor_name: str
    target: str
    request_id: str
    data: dict[str, Any]
    leaf_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCount:
    """How many certificates were issued on one day (UTC)."""

    day: datetime
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardSummary:
    """The figures of the first screen, as they were at `counted_at`."""

    valid: int
    expired: int
    revoked: int
    expiring_7_days: int
    expiring_30_days: int
    issued_24_hours: int
    authorities: int
    issued_by_day: tuple[DayCount, ...]
    expiring_soon: tuple[CertificateItem, ...]
    last_events: tuple[AuditEvent, ...]
    counted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceItem:
    """A namespace that a person may act in."""

    id: UUID
    slug: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestItem:
    """A request that needs an approval, and what became of it.

    `state`: recorded, not-started, waiting, issued, refused, failed. `path` names the elements of
    the diagram that the process passed, `deciders` who decided where and when.
    """

    id: UUID
    sha256: str
    state: str
    profile: str
    profile_version: int
    subject: str
    names: tuple[Name, ...]
    validity_seconds: int
    diagram: str
    diagram_version: int | None
    diagram_sha256: str | None
    process_id: UUID | None
    path: tuple[str, ...]
    deciders: tuple[dict[str, Any], ...]
    reason: str
    requester_name: str
    source: str
    created_at: datetime
    closed_at: datetime | None
    serial_number: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantItem:
    """Names that need no further approval under a profile until a date, and what allowed that.

    `state` is active, expired or withdrawn; `path` and `deciders` are as in `RequestItem`.
    """

    id: UUID
    state: str
    pattern: str
    profile: str
    until: datetime
    created_at: datetime
    withdrawn_at: datetime | None
    process_id: UUID
    diagram: str
    diagram_version: int
    diagram_sha256: str
    path: tuple[str, ...]
    deciders: tuple[dict[str, Any], ...]
