"""Appends to the log, so that no answer is ever given for a signature that is not in it."""

import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from pkakey_signers.errors import SignerRefusal, SignerRefused, StartRefused
from pkakey_signers.lines import say
from pkakey_signers.log import (
    MAX_LINE_BYTES,
    LogDamaged,
    LogEntry,
    Position,
    SignatureRecord,
    hash_line,
    parse_line,
    walk,
)
from pkakey_signers.log_index import LogIndex
from pkakey_signers.sealing import sync_directory


def _now() -> datetime:
    return datetime.now(UTC)


class LogWriter:
    """One open log file, locked against a second signer.

    ``is_synced``: each append is on disk before it returns. Else it is only handed to the system.
    """

    def __init__(self, path: Path, *, is_synced: bool, now: Callable[[], datetime] = _now) -> None:
        self._path = path
        self._is_synced = is_synced
        self._now = now
        self._lock = threading.Lock()
        self._failure: str | None = None
        self._written: Callable[[UUID | None, int, Position], None] | None = None
        self._position = Position()
        try:
            is_new = not path.exists()
            self._descriptor = os.open(
                path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
            )
            if is_new:
                sync_directory(path.parent)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartRefused(
                f"Another signer writes the log {path}; stop it first, or choose another --log."
            ) from None
        except OSError as error:
            raise StartRefused(f"The log {path} cannot be opened ({error.strerror}).") from None

    @property
    def position(self) -> Position:
        """The end of the log."""
        return self._position

    @property
    def failure(self) -> str | None:
        """A sentence when the log takes no entries until a restart, else None."""
        return self._failure

    def recover(self, index: LogIndex) -> None:
        """Read on from where the index stopped, mend a torn end, and note further entries in it.

        Raises ``StartRefused`` when a line inside was changed.
        """
        self._position = index.position
        try:
            with self._path.open("rb") as file:
                for entry, after in walk(file, index.position):
                    index.add(entry.record.intent_id, self._position.offset, after)
                    self._position = after
        except LogDamaged as error:
            raise StartRefused(
                f"The log {self._path} was changed ({error}). Keep the file for inspection, find "
                "out who changed it, and restore it from a backup or name a new one by --log."
            ) from None
        self._cut_torn_end()
        self._written = index.add

    def recover_end(self) -> None:
        """Continue after the last whole line, without an index. A damaged end starts a new file."""
        size = os.fstat(self._descriptor).st_size
        end = os.pread(self._descriptor, 2 * MAX_LINE_BYTES, max(0, size - 2 * MAX_LINE_BYTES))
        whole, newline, torn = end.rpartition(b"\n")
        try:
            if newline:
                line = whole.rpartition(b"\n")[2]
                entry = parse_line(line)
                self._position = Position(size - len(torn), entry.sequence, hash_line(line))
        except ValueError:
            os.ftruncate(self._descriptor, 0)
            self._position = Position()
            say(
                f"The end of the log {self._path} was unreadable; the log begins anew.",
                level="warning",
            )
            return
        self._cut_torn_end()

    def rotate(self, keep_bytes: int) -> None:
        """Rename a log that is longer than this to ``.1`` and begin a new one."""
        with self._lock:
            self._rotate(keep_bytes)

    def append(self, records: Sequence[SignatureRecord]) -> None:
        """Append the records, all or none; return when they are kept.

        Raises ``log.unwritable`` or ``log.failed``.
        """
        if not records:
            return
        with self._lock:
            self._append(records)

    def read(self, start: int, length: int) -> bytes:
        """Return octets of the log."""
        return os.pread(self._descriptor, length, start)

    def close(self) -> None:
        """Sync and close; no append may be under way."""
        os.fsync(self._descriptor)
        os.close(self._descriptor)

    def _rotate(self, keep_bytes: int) -> None:
        if self._position.offset < keep_bytes:
            return
        self._path.replace(self._path.with_name(self._path.name + ".1"))
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._position = Position()

    def _append(self, records: Sequence[SignatureRecord]) -> None:
        if self._failure is not None:
            raise SignerRefused(SignerRefusal.LOG_FAILED, self._failure)
        position = self._position
        time = self._now()
        lines: list[bytes] = []
        places: list[tuple[UUID | None, int, Position]] = []
        for record in records:
            entry = LogEntry(record, position.sequence + 1, time, position.previous)
            line = entry.to_line()
            start = position.offset
            position = Position(start + len(line) + 1, entry.sequence, hash_line(line))
            lines.append(line)
            places.append((record.intent_id, start, position))
        self._write_octets(b"\n".join(lines) + b"\n")
        self._position = position
        if self._written is not None:
            for place in places:
                self._written(*place)

    def _write_octets(self, octets: bytes) -> None:
        try:
            rest = memoryview(octets)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            # Disk full: what was written of the batch must go, or the next line joins it.
            try:
                os.ftruncate(self._descriptor, self._position.offset)
            except OSError as second:
                self._fail(second)
            raise SignerRefused(
                SignerRefusal.LOG_UNWRITABLE,
                f"The signer's log cannot be written ({error.strerror}); make room on its disk.",
            ) from None
        if self._is_synced:
            try:
                os.fdatasync(self._descriptor)
            except OSError as error:
                # After a failed sync the system may have dropped the pages: nothing is certain.
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        self._failure = (
            f"The signer's log could not be brought to disk ({error.strerror}); check the disk "
            "and restart the signer."
        )
        raise SignerRefused(SignerRefusal.LOG_FAILED, self._failure) from None

    def _cut_torn_end(self) -> None:
        torn = os.fstat(self._descriptor).st_size - self._position.offset
        if torn:
            os.ftruncate(self._descriptor, self._position.offset)
            os.fsync(self._descriptor)
            say(
                f"The log {self._path} ended inside a line; its last {torn} octets, for which no "
                "answer was given, are cut off.",
                level="warning",
            )
