"""What the commands print: results on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

_PIPE_COLUMNS = 1000
_MARKS = {
    "ready": ("✓", "green"),
    "done": ("✓", "green"),
    "starting": ("…", "yellow"),
    "restarting": ("↻", "yellow"),
    "stopping": ("…", "yellow"),
    "failed": ("✗", "red"),
    "stopped": ("-", "dim"),
    "waiting": ("·", "dim"),
    "absent": ("-", "yellow"),
}


def say(text: str) -> None:
    """Print a line of the result; never wrapped, so that it can be copied."""
    sys.stdout.write(f"{text}\n")


def note(text: str) -> None:
    """Print a line beside the result, on standard error."""
    sys.stderr.write(f"{text}\n")


def as_json(value: object) -> None:
    """Print the value as JSON on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; whole words in a pipe too."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        shown.add_column(heading, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(cell) for cell in row))
    # A pipe has no width: nothing is cut or folded there.
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS).print(shown)


def services(status: dict[str, Any]) -> None:
    """Print the services with their states."""
    table(
        ["SERVICE", "STATE", "PID", "RESTARTS", ""],
        [
            [u["name"], u["state"], str(u["pid"] or ""), str(u["restarts"]), u["detail"]]
            for u in status["services"]
        ],
    )


def follow(states: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Show the progress of a start until it is over, and return the last status.

    A terminal gets one line that changes; a pipe gets a line for each unit that became ready.
    """
    console = Console(stderr=True)
    last: dict[str, Any] = {}
    if console.is_terminal:
        with Live(console=console, refresh_per_second=12, transient=True) as live:
            for last in states:
                live.update(_line(last))
        return last
    told: set[str] = set()
    for last in states:
        for unit in last["tasks"] + last["services"]:
            if unit["state"] in {"ready", "done"} and unit["name"] not in told:
                told.add(unit["name"])
                note(f"{unit['name']}: {unit['state']}")
    return last


def _line(status: dict[str, Any]) -> Text:
    line = Text("Starting ")
    for unit in [*status["services"], *status["tasks"]]:
        mark, style = _MARKS.get(unit["state"], ("?", ""))
        line.append(f" {mark} {unit['name']}", style=style)
    return line
