"""The signer's own look at the recorded intents, past the process that asks it to sign."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import psycopg

from pkakey_signers.errors import SignerRefusal, SignerRefused

_QUERY = """
SELECT asked.id, found.authority_key_id, found.kind::text, found.tbs_sha256, found.state::text
FROM unnest(%b::uuid[]) AS asked (id) CROSS JOIN LATERAL intents.signing_intent(asked.id) AS found
"""
_OPEN_STATE = "open"


@dataclass(frozen=True)
class SigningIntent:
    """What is to be signed with which key, as the database has it."""

    key_id: UUID
    kind: str
    tbs_sha256: str
    """Lower-case hex."""
    is_open: bool


class IntentSource(Protocol):
    """Where intents are looked up. May be called from any thread."""

    def find_all(self, intent_ids: Sequence[UUID]) -> Sequence[SigningIntent | None]:
        """Return for each id its intent, or None; raises ``intents.unavailable``."""

    def problem(self) -> str | None:
        """Return a sentence when intents cannot be looked up now, else None."""


class DatabaseIntents:
    """Asks PostgreSQL's function ``intents.signing_intent(uuid)`` with a role of its own.

    Keeps one connection; a lost one is replaced and the question asked once more. Fails closed.
    """

    def __init__(self, database_url: str, password: str | None) -> None:
        self._database_url = database_url
        self._password = password
        self._connection: psycopg.Connection | None = None
        self._lock = threading.Lock()

    def find_all(self, intent_ids: Sequence[UUID]) -> Sequence[SigningIntent | None]:
        """Return for each id its intent, or None; raises ``intents.unavailable``."""
        with self._lock:
            return self._find_all(intent_ids)

    def problem(self) -> str | None:
        """Return a sentence when intents cannot be looked up now, else None."""
        try:
            self.find_all([UUID(int=0)])
        except SignerRefused as error:
            return error.detail
        return None

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _find_all(self, intent_ids: Sequence[UUID]) -> Sequence[SigningIntent | None]:
        was_connected = self._connection is not None
        try:
            try:
                return self._query(intent_ids)
            except psycopg.OperationalError:
                self._drop()
                if not was_connected:
                    raise
                # The server was restarted since the last look-up.
                return self._query(intent_ids)
        except psycopg.Error as error:
            self._drop()
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise SignerRefused(
                SignerRefusal.INTENTS_UNAVAILABLE,
                "The signer cannot look up the intent in the database, so it signs nothing; ask "
                f"again when the database is back. ({reason})",
            ) from None

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _query(self, intent_ids: Sequence[UUID]) -> Sequence[SigningIntent | None]:
        if self._connection is None:
            self._connection = self._connect()
        rows = self._connection.execute(
            _QUERY, (list(intent_ids),), prepare=True, binary=True
        ).fetchall()
        # A function that returns a composite gives a row of nulls for what it does not find.
        found = {
            intent_id: SigningIntent(key_id, kind, bytes(tbs_sha256).hex(), state == _OPEN_STATE)
            for intent_id, key_id, kind, tbs_sha256, state in rows
            if key_id is not None
        }
        return [found.get(intent_id) for intent_id in intent_ids]

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            self._database_url,
            password=self._password,
            autocommit=True,
            connect_timeout=3,
            application_name="pkakey-signer",
            options="-c statement_timeout=3000 -c default_transaction_read_only=on",
        )
