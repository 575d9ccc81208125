"""What a rotation has written so far, so that one that was cut off can be finished.

Beside a secret NAME lie, for as long as its rotation takes:

- `NAME.next`: the value to come. Whoever it is for may know it already, or not yet.
- `NAME.retired`: the value before. NAME is the new one; a running process may still hold the old.
"""

import errno
import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ddt.errors import TroubleError
from ddt.secret_files import read, write_privately

NEXT = ".next"
RETIRED = ".retired"
_LOCK = "rotation.lock"
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Journal:
    """The journal of a folder of secrets."""

    folder: Path

    def begin(self, name: str, new: Callable[[], str] = lambda: secrets.token_hex(32)) -> str:
        """Return the value to come, made now unless a rotation that was cut off had made it."""
        coming = self.folder / f"{name}{NEXT}"
        if not coming.exists():
            write_privately(coming, new())
        return read(self.folder, coming.name)

    def has_begun(self, name: str) -> bool:
        """Tell whether there is a value to come."""
        return (self.folder / f"{name}{NEXT}").exists()

    def coming(self, name: str) -> str | None:
        """Return the value to come, if there is one."""
        return read(self.folder, f"{name}{NEXT}") if self.has_begun(name) else None

    def switch(self, name: str) -> None:
        """Make the value to come the present one, at one moment; keep the one before."""
        present, coming = self.folder / name, self.folder / f"{name}{NEXT}"
        retired = self.folder / f"{name}{RETIRED}"
        retired.unlink(missing_ok=True)
        os.link(present, retired)
        coming.rename(present)
        _sync(self.folder)

    def retired(self, name: str) -> str | None:
        """Return the value before, while a process may still hold it."""
        file = self.folder / f"{name}{RETIRED}"
        return read(self.folder, file.name) if file.exists() else None

    def end(self, name: str) -> None:
        """Forget the value before: nobody holds it any more."""
        (self.folder / f"{name}{RETIRED}").unlink(missing_ok=True)

    def unfinished(self) -> list[str]:
        """Return the secrets whose rotation was begun and not finished."""
        return sorted(
            {
                file.name.removesuffix(suffix)
                for suffix in (NEXT, RETIRED)
                for file in self.folder.glob(f"*{suffix}")
            }
        )


@contextmanager
def exclusively(home: Path, *, wait_seconds: float) -> Iterator[None]:
    """Hold the right to change secrets; whoever must see them as they fit together holds it too.

    Raises TroubleError when another process holds it for longer than that.
    """
    descriptor = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + wait_seconds
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in {errno.EAGAIN, errno.EACCES}:
                    raise
            if time.monotonic() > deadline:
                raise TroubleError(
                    f"Another 'ddt rotate' or 'ddt backup' works in {home} at this moment. Wait "
                    "for it to end, then try again.",
                )
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
