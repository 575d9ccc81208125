"""Compare the signer's own log with the store: no signature without a record."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from pkakey_signers.log import read_entries

from pkakey.store.reading import rows

_AT_ONCE = 1000


def unknown_signatures(log: Path) -> tuple[int, list[str]]:
    """Return how many certificates the log names, and the serial numbers the store lacks.

    A serial number whose intent is still open is known: the reconciler finishes it. Raises
    OSError, and `pkakey_signers.log.LogDamaged` when the log's chain of hashes is broken.
    """
    serials = _certificate_serials(log)
    count = 0
    unknown: list[str] = []
    while batch := list(islice(serials, _AT_ONCE)):
        count += len(batch)
        unknown += [row[0] for row in rows("SELECT * FROM pki.unknown_serials(%s)", [batch])]
    return count, unknown


def _certificate_serials(log: Path) -> Iterator[str]:
    return (
        entry.record.serial_number
        for entry in read_entries(log)
        if entry.record.kind == "certificate"
    )
