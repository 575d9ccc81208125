"""Which responder answers for which issuer: the present ones, indexed as requests name issuers."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from cryptography import x509
from pkakey_engine.errors import Refused
from pkakey_engine.issuance import Issuer
from pkakey_engine.revocation import Responder, issuer_hashes

from pkakey.fronts.status.database import ResponderRecord, StatusDatabase

logger = logging.getLogger(__name__)

# A renewed responder certificate is used after at most this time.
RELOAD_AFTER: Final = timedelta(seconds=30)
# An issuer that we do not know may be one that was made a moment ago; but anyone can ask about
# unknown issuers, so the database is asked about them once in this time only.
RELOAD_UNKNOWN_AFTER: Final = timedelta(seconds=2)

# RFC 5019 section 2.1.1 has SHA-1 in CertID; newer clients (RFC 9654) use SHA-256 and its like.
# The hash only names the issuer; nothing is trusted for it.
HASHES: Final = ("sha1", "sha256", "sha384", "sha512")

IssuerName = tuple[str, bytes, bytes]


@dataclass(frozen=True, slots=True, eq=False)
class KnownResponder:
    """A responder that may answer for an authority, and where its key is."""

    authority_id: UUID
    key_id: UUID
    responder: Responder


class Responders:
    """The responders by issuer name hash and key hash (RFC 6960 section 4.1.1)."""

    def __init__(self, database: StatusDatabase) -> None:
        self._database = database
        self._by_issuer: Mapping[IssuerName, KnownResponder] = MappingProxyType({})
        self._loaded_at: datetime | None = None
        self._loading = threading.Lock()

    def find(self, name: IssuerName, *, now: datetime) -> KnownResponder | None:
        """Return the responder for the issuer that `name` means, or None when we have none."""
        if self._is_older_than(RELOAD_AFTER, now):
            self._load(now, older_than=RELOAD_AFTER)
        found = self._by_issuer.get(name)
        if found is None and self._is_older_than(RELOAD_UNKNOWN_AFTER, now):
            self._load(now, older_than=RELOAD_UNKNOWN_AFTER)
            found = self._by_issuer.get(name)
        return found

    def _is_older_than(self, age: timedelta, now: datetime) -> bool:
        return self._loaded_at is None or abs(now - self._loaded_at) >= age

    def _load(self, now: datetime, *, older_than: timedelta) -> None:
        with self._loading:
            # Another thread may have loaded them while this one waited.
            if not self._is_older_than(older_than, now):
                return
            by_issuer: dict[IssuerName, KnownResponder] = {}
            for record in self._database.ocsp_responders():
                by_issuer.update(_entries(record))
            self._by_issuer = MappingProxyType(by_issuer)
            self._loaded_at = now


def _entries(record: ResponderRecord) -> dict[IssuerName, KnownResponder]:
    """Return the responder under every name that a request may give its authority."""
    issuer = Issuer.from_certificate_der(record.authority_der)
    try:
        responder = Responder.for_certificate(
            x509.load_der_x509_certificate(record.responder_der), issuer
        )
    except Refused:
        # One bad responder must not silence the others.
        logger.exception("The OCSP responder of authority %s is not fit.", record.authority_id)
        return {}
    known = KnownResponder(record.authority_id, record.key_id, responder)
    return {(name, *issuer_hashes(issuer, name)): known for name in HASHES}
