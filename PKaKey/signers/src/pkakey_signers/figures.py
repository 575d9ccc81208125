"""What the signer counts for whoever watches it: signatures and refusals, and how long they took.

Only sums leave the process: no key, no name, no intent. The labels are words of this package
(a kind, an algorithm, a refusal's code), so that no client can make new ones.
"""

import bisect
import json
import threading
from dataclasses import dataclass, field
from typing import Any

BUCKET_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Upper bounds of the latency classes; a last class takes the rest."""

SIGNED = "signed"
"""The outcome beside the refusals' codes."""


@dataclass
class _Sum:
    count: int = 0
    seconds: float = 0.0
    classes: list[int] = field(default_factory=lambda: [0] * (len(BUCKET_SECONDS) + 1))


class SignatureFigures:
    """Counts what was asked to be signed, from any number of threads, since the process began."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, str], _Sum] = {}
        self._lock = threading.Lock()

    def count(self, kind: str, algorithm: str, outcome: str, seconds: float) -> None:
        """Count one question; ``algorithm`` is empty where the key was not found."""
        place = bisect.bisect_left(BUCKET_SECONDS, seconds)
        with self._lock:
            known = self._sums.get((kind, algorithm, outcome))
            if known is None:
                known = self._sums[kind, algorithm, outcome] = _Sum()
            known.count += 1
            known.seconds += seconds
            known.classes[place] += 1

    def to_json(self) -> bytes:
        """Return the sums: ``bounds`` in seconds, and for each triple what it has in each class."""
        with self._lock:
            signatures: list[dict[str, Any]] = [
                {
                    "kind": kind,
                    "algorithm": algorithm,
                    "outcome": outcome,
                    "count": found.count,
                    "seconds": found.seconds,
                    "classes": list(found.classes),
                }
                for (kind, algorithm, outcome), found in sorted(self._sums.items())
            ]
        return json.dumps(
            {"bounds": BUCKET_SECONDS, "signatures": signatures}, separators=(",", ":")
        ).encode()
