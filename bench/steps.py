"""Measure what one step of a process costs the engine, without database and network.

`python -m bench.steps` walks `certificate-approval-one` from its start to its end as the service
does: each move reads the saved state, moves, and writes the state again. Prints medians as JSON.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from koolflows.engine.reading import read
from koolflows.engine.running import Run
from koolflows.engine.specs import Compiled

DIAGRAM = Path("KoolFlows/diagrams/certificate-approval-one.bpmn")
DATA = {
    "request": {
        "id": "6e4c5a0e-7a01-4d42-8d8b-0b1c0f2e3d4c", "sha256": "ab" * 32, "profile": "tls-client",
        "names": ["www.example.test"],
    },
    "process": {"id": "1", "key": "certificate-approval-one", "starter": "rita"},
}  # fmt: skip
DECISION = {"outcome": "approve", "reason": "as asked"}


class Clock:
    """Notes what each kind of work took."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.taken: defaultdict[str, list[float]] = defaultdict(list)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Note how long what is done within takes."""
        began = time.perf_counter()
        yield
        self.taken[name].append(time.perf_counter() - began)

    def medians_ms(self) -> dict[str, float]:
        """Return the median of each, in milliseconds."""
        return {name: round(median(values) * 1000, 2) for name, values in self.taken.items()}


def walk(compiled: Compiled, clock: Clock, now: datetime) -> int:
    """Start a process, decide its task, finish its service tasks; return its state's size."""
    with clock.measure("start"):
        run = Run.start(compiled, DATA, now)
    is_decided = False
    while True:
        with clock.measure("write_state"):
            state = run.dump()
        if run.is_over:
            return len(state)
        with clock.measure("read_state"):
            run = Run.load(compiled, state, now)
        if not is_decided:
            (task,) = run.humans()
            with clock.measure("decide"):
                run.complete(task.id, "decision", DECISION)
            is_decided = True
            continue
        for task in run.services():
            with clock.measure("finish_service"):
                run.finish(task.id, {"serial_number": "0a"})


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    options = parser.parse_args()
    clock, now, size = Clock(), datetime.now(tz=UTC), 0
    files = {DIAGRAM.name: DIAGRAM.read_bytes()}
    for _ in range(20):
        with clock.measure("check_and_compile"):
            read(files)
    compiled = read(files).compiled
    for _ in range(options.times):
        size = walk(compiled, clock, now)
    print(json.dumps({"medians_ms": clock.medians_ms(), "state_characters": size}, indent=2))


if __name__ == "__main__":
    main()
