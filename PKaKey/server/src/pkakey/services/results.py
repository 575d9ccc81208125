"""What the use cases return: frozen values, no rows of the store."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pkakey_engine.issuance import ExtensionInWords
from pkakey_engine.names import Name


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """A certificate that is signed, stored and audited.

    `serial_number` is lower-case hex without a prefix; `chain` has PEM, the issuer first and
    the root last. `replayed`: an earlier request with the same Idempotency-Key made it.
    """

    id: UUID
    serial_number: str
    pem: str
    der: bytes
    chain: list[str]
    not_before: datetime
    not_after: datetime
    subject: str
    names: tuple[Name, ...]
    profile: str
    authority_id: UUID
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What would be issued; nothing was stored and no serial number is kept."""

    subject: str
    names: tuple[Name, ...]
    not_before: datetime
    not_after: datetime
    extensions: list[ExtensionInWords]
    key: str
    profile: str
    authority_id: UUID
    authority_name: str
    # The diagram that a request under this profile has to pass; None: it is issued at once.
    approval: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedCertificate:
    """A certificate that is revoked from `revoked_at` on; `reason` by RFC 5280 section 5.3.1."""

    serial_number: str
    reason: str
    revoked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedAuthority:
    """An authority with its certificate and its first CRL."""

    id: UUID
    name: str
    parent_id: UUID | None
    subject: str
    serial_number: str
    pem: str
    chain: list[str]
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedCRL:
    """A signed CRL; `der` is the CertificateList."""

    authority_id: UUID
    number: int
    der: bytes
    revoked_count: int
    this_update: datetime
    next_update: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """An API token; `token` is its plaintext, shown this once."""

    id: UUID
    token: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
