"""Finds a log entry by its intent, in little memory and without reading the log again.

A SQLite file beside the log. It is derived: when it is missing, damaged or does not fit the log,
it is built again from the log. Entries not yet in it are kept in memory; on start the signer
reads the log's end from where the index stopped.
"""

import sqlite3
import threading
from pathlib import Path
from typing import Final
from uuid import UUID

from pkakey_signers.log import MAX_LINE_BYTES, Position, hash_line

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entry (intent_id BLOB PRIMARY KEY, start INTEGER, length INTEGER)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS position
    (one INTEGER PRIMARY KEY CHECK (one = 1), start INTEGER, offset INTEGER, sequence INTEGER,
     previous TEXT) STRICT;
"""


class LogIndex:
    """Where in the log each intent's line is. May be called from any thread."""

    def __init__(self, path: Path, log_path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._recent: dict[UUID, tuple[int, int]] = {}
        self._connection = self._open()
        self._position = self._read_position(log_path)
        self._last_start = 0

    @property
    def position(self) -> Position:
        """Up to where the log is in the index."""
        return self._position

    def add(self, intent_id: UUID | None, start: int, after: Position) -> None:
        """Note a line that begins at ``start`` and ends (with its newline) at ``after``."""
        with self._lock:
            if intent_id is not None:
                self._recent.setdefault(intent_id, (start, after.offset - start - 1))
            self._last_start = start
            self._position = after

    def find(self, intent_id: UUID) -> tuple[int, int] | None:
        """Return offset and length of the intent's line, or None."""
        with self._lock:
            place = self._recent.get(intent_id)
            if place is None:
                row = self._connection.execute(
                    "SELECT start, length FROM entry WHERE intent_id = ?", (intent_id.bytes,)
                ).fetchone()
                place = None if row is None else (int(row[0]), int(row[1]))
            return place

    @property
    def pending(self) -> int:
        """How many entries only memory has."""
        return len(self._recent)

    def flush(self) -> None:
        """Move what is in memory to the file. When that fails memory keeps it."""
        with self._lock:
            if not self._recent:
                return
            rows = [(key.bytes, *place) for key, place in self._recent.items()]
            at = self._position
            try:
                with self._connection:
                    self._connection.executemany("INSERT OR IGNORE INTO entry VALUES (?,?,?)", rows)
                    self._connection.execute(
                        "INSERT OR REPLACE INTO position VALUES (1,?,?,?,?)",
                        (self._last_start, at.offset, at.sequence, at.previous),
                    )
            except sqlite3.Error:
                # Disk full, say. The log has everything; the next flush or start tries again.
                return
            self._recent.clear()

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError:
            self._remove()
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, check_same_thread=False, timeout=5)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                connection.close()  # What follows then fails, as with any other damage.
            connection.executescript(_SCHEMA)
            connection.execute("SELECT start, offset, sequence, previous FROM position")
            self._path.chmod(0o600)
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _read_position(self, log_path: Path) -> Position:
        row = self._connection.execute(
            "SELECT start, offset, sequence, previous FROM position"
        ).fetchone()
        if row is None:
            return Position()
        start, offset, sequence, previous = row
        if 0 <= start < offset <= start + MAX_LINE_BYTES:
            with log_path.open("rb") as log:
                log.seek(start)
                line = log.read(offset - start)
            is_whole = line.endswith(b"\n") and len(line) == offset - start
            if is_whole and hash_line(line[:-1]) == previous:
                return Position(offset, sequence, previous)
        self._connection.close()
        self._remove()
        self._connection = self._connect()
        return Position()
