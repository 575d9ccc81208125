"""What the status front reads: four SQL functions, as the role `pkakey_status`.

The functions are the whole of what that role may do; it sees no table.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID

from psycopg import Connection, InterfaceError, OperationalError
from psycopg_pool import ConnectionPool, PoolTimeout

POOL_TIMEOUT_SECONDS: Final = 2.0
RECONNECT_TIMEOUT_SECONDS: Final = 4.0


class CertificateStatusRecord(NamedTuple):
    """What is known of one serial number of one authority at this moment."""

    revoked_at: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class CurrentCRL:
    """The authority's newest CRL."""

    der: bytes
    this_update: datetime
    next_update: datetime


@dataclass(frozen=True, slots=True)
class AuthorityCertificate:
    """An authority's own certificate."""

    der: bytes
    not_before: datetime


@dataclass(frozen=True, slots=True)
class ResponderRecord:
    """A delegated OCSP responder (RFC 6960 section 4.2.2.2) and the authority it answers for."""

    authority_id: UUID
    key_id: UUID
    authority_der: bytes
    responder_der: bytes


class StatusDatabase:
    """A small pool of connections; each question is one round trip and one prepared statement."""

    def __init__(self, conninfo: str, *, connections: int) -> None:
        self._pool: ConnectionPool[Connection[tuple[Any, ...]]] = ConnectionPool(
            conninfo,
            # Each statement stands alone: without a transaction there is no second round trip.
            kwargs={"autocommit": True, "prepare_threshold": 0},
            min_size=1,
            max_size=connections,
            timeout=POOL_TIMEOUT_SECONDS,
            # The pool waits ever longer between its attempts; begun anew, they stay close, so that
            # the service is back within seconds of its database.
            reconnect_timeout=RECONNECT_TIMEOUT_SECONDS,
            open=False,
            name="status",
        )
        self._opening = threading.Lock()
        self._is_open = False

    def _rows(self, query: LiteralString, *values: object) -> Sequence[tuple[Any, ...]]:
        if not self._is_open:
            self._open()
        try:
            return self._ask(query, values)
        except PoolTimeout:
            raise
        except (OperationalError, InterfaceError):
            # A restarted server broke every idle connection: replace them, and ask once more.
            self._pool.check()
            return self._ask(query, values)

    def _ask(self, query: LiteralString, values: tuple[object, ...]) -> Sequence[tuple[Any, ...]]:
        with self._pool.connection() as connection:
            return connection.execute(query, values, binary=True).fetchall()

    def _open(self) -> None:
        # Opened at the first request, so that it is in the worker that serves, after any fork.
        with self._opening:
            if not self._is_open:
                self._pool.open()
                self._is_open = True

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def check(self) -> None:
        """Return when the database answers; else raise psycopg's error or `PoolTimeout`."""
        self._rows("SELECT 1")

    def certificate_status(
        self, authority_id: UUID, serial_number: str
    ) -> CertificateStatusRecord | None:
        """Return what is recorded of a serial number (lower-case hex); None: never issued."""
        rows = self._rows(
            "SELECT revoked_at, reason FROM status.certificate_status(%s, %s)",
            authority_id,
            serial_number,
        )
        return CertificateStatusRecord(*rows[0]) if rows else None

    def current_crl(self, authority_id: UUID) -> CurrentCRL | None:
        """Return the newest CRL of an authority, or None when it has none."""
        rows = self._rows(
            "SELECT der, this_update, next_update FROM status.current_crl(%s)", authority_id
        )
        return CurrentCRL(*rows[0]) if rows else None

    def authority_certificate(self, authority_id: UUID) -> AuthorityCertificate | None:
        """Return an authority's certificate, or None when there is no such authority."""
        rows = self._rows(
            "SELECT der, not_before FROM status.authority_certificate(%s)", authority_id
        )
        return AuthorityCertificate(*rows[0]) if rows else None

    def ocsp_responders(self) -> list[ResponderRecord]:
        """Return the newest responder of every authority."""
        rows = self._rows(
            "SELECT authority_id, key_id, authority_der, responder_der"
            " FROM status.ocsp_responders()"
        )
        return [ResponderRecord(*row) for row in rows]
