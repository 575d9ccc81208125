"""What the supervisor thinks of a service that was ready, from its last answers."""

import contextlib
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

CHECK_SECONDS = 5.0
ASKED = 8  # So many count: of two workers, one that hangs is met every other time.
DOUBTFUL = 2  # One missed answer may be a busy machine.
HOPELESS = 4
TRUSTED_AGAIN = 3  # Answers in a row.


@dataclass
class Health:
    """The last answers of one service."""

    answers: deque[bool] = field(default_factory=lambda: deque(maxlen=ASKED))

    def note(self, *, answered: bool) -> None:
        """Remember one answer, or that none came."""
        self.answers.append(answered)
        last = list(self.answers)[-TRUSTED_AGAIN:]
        if len(last) == TRUSTED_AGAIN and all(last):
            self.forget()

    def forget(self) -> None:
        """Begin anew: what was missed had a cause elsewhere, or is over."""
        self.answers.clear()

    @property
    def missed(self) -> int:
        """How many of the last questions had no answer."""
        return self.answers.count(False)

    @property
    def is_doubtful(self) -> bool:
        """Whether people should hear of it."""
        return self.missed >= DOUBTFUL

    @property
    def is_hopeless(self) -> bool:
        """Whether only a restart helps."""
        return self.missed >= HOPELESS

    def words(self) -> str:
        """Return what `ddt status` says of a service in doubt."""
        return (
            f"it left {self.missed} of the last {len(self.answers)} health checks unanswered; at "
            f"{HOPELESS} it is restarted"
        )


def is_suspended(pid: int) -> bool:
    """Tell whether the process or a descendant of it is stopped, as by SIGSTOP (proc(5))."""
    with contextlib.suppress(OSError, IndexError):
        folder = Path(f"/proc/{pid}")
        # The name before the state is in parentheses and may hold any character.
        if (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[0] == "T":
            return True
        for task in (folder / "task").iterdir():
            for child in (task / "children").read_text().split():
                if is_suspended(int(child)):
                    return True
    return False
