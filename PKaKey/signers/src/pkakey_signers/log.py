"""The signer's own log: one JSON line for each signature, chained by hashes.

Each line carries the SHA-256 of the line before it (without the newline), so that a line cannot be
changed, taken out or put in without breaking the chain. A cut at the very end leaves a valid chain:
that is found by comparing the log with the store. A line without its newline is what a crash left;
no answer was given for it.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

FIRST_PREVIOUS = "0" * 64
"""What the first line names as the hash of the line before it."""

MAX_LINE_BYTES = 8192


class LogDamaged(ValueError):  # noqa: N818  # Named by what happened.
    """A line inside the log was changed, taken out or put in. ``line_number`` counts from 1."""

    def __init__(self, line_number: int, detail: str) -> None:
        super().__init__(f"Line {line_number}: {detail}")
        self.line_number = line_number
        self.detail = detail


@dataclass(frozen=True)
class SignatureRecord:
    """One signature: what was signed by which key for which intent."""

    kind: str
    key_id: UUID
    intent_id: UUID | None
    serial_number: str
    """Lower-case hex; of a CRL its number; empty for a response."""
    tbs_sha256: str
    """Lower-case hex."""
    signature: bytes
    request_id: str = ""
    """The request that asked for it; empty when it had no id."""


@dataclass(frozen=True)
class LogEntry:
    """A record with its place in the chain. ``sequence`` counts from 1."""

    record: SignatureRecord
    sequence: int
    time: datetime
    previous: str
    """The SHA-256 of the line before, in lower-case hex."""

    def to_line(self) -> bytes:
        """Return the line without its newline."""
        record = self.record
        return json.dumps(
            {
                "seq": self.sequence,
                "time": self.time.isoformat(),
                "kind": record.kind,
                "key_id": str(record.key_id),
                "intent_id": None if record.intent_id is None else str(record.intent_id),
                "serial": record.serial_number,
                "tbs_sha256": record.tbs_sha256,
                "signature": base64.b64encode(record.signature).decode(),
                # Left out where there is none: lines of before this field keep their form.
                **({"request_id": record.request_id} if record.request_id else {}),
                "previous": self.previous,
            },
            separators=(",", ":"),
        ).encode()


def parse_line(line: bytes) -> LogEntry:
    """Return the entry of a line without its newline; raises ``ValueError`` when it is none."""
    try:
        data = json.loads(line)
        intent_id = data["intent_id"]
        record = SignatureRecord(
            kind=str(data["kind"]),
            key_id=UUID(data["key_id"]),
            intent_id=None if intent_id is None else UUID(intent_id),
            serial_number=str(data["serial"]),
            tbs_sha256=str(data["tbs_sha256"]),
            signature=base64.b64decode(data["signature"], validate=True),
            request_id=str(data.get("request_id", "")),
        )
        time = datetime.fromisoformat(data["time"])
        entry = LogEntry(record, int(data["seq"]), time, str(data["previous"]))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("It is no log entry.") from error
    if entry.to_line() != line:
        raise ValueError("It is not in the form that the signer writes.")
    return entry


def hash_line(line: bytes) -> str:
    """Return the SHA-256 of the line without its newline, in lower-case hex."""
    return hashlib.sha256(line).hexdigest()


@dataclass(frozen=True)
class Position:
    """A place between two lines of a log: how many octets and lines precede it, and their hash."""

    offset: int = 0
    sequence: int = 0
    previous: str = FIRST_PREVIOUS


def walk(file: BinaryIO, start: Position) -> Iterator[tuple[LogEntry, Position]]:
    """Yield each whole line's entry and the position after it, checking the chain.

    Stops before a torn last line. Raises ``LogDamaged`` at the first line that does not fit.
    """
    position = start
    file.seek(position.offset)
    while (line := file.readline(MAX_LINE_BYTES)).endswith(b"\n"):
        number = position.sequence + 1
        line = line[:-1]
        try:
            entry = parse_line(line)
        except ValueError as error:
            raise LogDamaged(number, str(error)) from None
        if entry.sequence != position.sequence + 1 or entry.previous != position.previous:
            raise LogDamaged(number, "It does not follow the line before it.")
        position = Position(position.offset + len(line) + 1, entry.sequence, hash_line(line))
        yield entry, position
    if len(line) == MAX_LINE_BYTES:
        raise LogDamaged(position.sequence + 1, f"It is longer than {MAX_LINE_BYTES} octets.")


def read_entries(path: Path) -> Iterator[LogEntry]:
    """Yield every entry from the first line on, checking the chain (``LogDamaged``)."""
    with path.open("rb") as file:
        for entry, _ in walk(file, Position()):
            yield entry


@dataclass(frozen=True)
class LogReport:
    """What ``verify_log`` found. ``problem`` is None when the chain holds from end to end."""

    entries: int
    last_hash: str
    torn_bytes: int
    problem: str | None


def verify_log(path: Path) -> LogReport:
    """Check the whole chain. ``torn_bytes`` counts octets after the last whole line."""
    position = Position()
    problem = None
    with path.open("rb") as file:
        try:
            for _, position in walk(file, Position()):  # noqa: B007  # The last one is what counts.
                pass
        except LogDamaged as error:
            problem = str(error)
    torn = path.stat().st_size - position.offset if problem is None else 0
    return LogReport(position.sequence, position.previous, torn, problem)
