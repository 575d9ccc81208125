"""What the engine refuses: a diagram, or a step of a running process.

FlowError
├── DiagramRefused   a bundle of files cannot become a version; names every finding
├── ValuesRefused    values do not fit the form or the limits of data
└── StepFailed       a step of a process cannot be done as the diagram says
"""

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["DiagramRefused", "Finding", "FlowError", "StepFailed", "ValuesRefused"]


class Finding(NamedTuple):
    """One thing that is wrong: a stable code, a sentence, and where it stands."""

    code: str
    detail: str
    file: str = ""
    line: int = 0
    element: str = ""


class FlowError(Exception):
    """The common root; `code` is stable, `detail` a sentence."""

    def __init__(self, code: str, detail: str, *, element: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.element = element


class DiagramRefused(FlowError):  # noqa: N818  # An answer, named by what it says.
    """The files cannot be deployed; `findings` says all that was found."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        first = findings[0]
        more = f" {len(findings) - 1} more are listed." if len(findings) > 1 else ""
        super().__init__(first.code, first.detail + more, element=first.element)
        self.findings = tuple(findings)


class ValuesRefused(FlowError):  # noqa: N818  # As above.
    """Values that came do not fit; `errors` maps a field's path to a sentence."""

    def __init__(self, code: str, detail: str, errors: dict[str, str] | None = None) -> None:
        super().__init__(code, detail)
        self.errors = errors or {}


class StepFailed(FlowError):  # noqa: N818  # As above.
    """A step cannot be done: nothing of it is kept."""
