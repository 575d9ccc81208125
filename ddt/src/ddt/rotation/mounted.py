"""The journal of secrets that containers mount.

A container sees what is written into the file that it mounted, and not a file that takes its
place; so a new value is written into the old file.
"""

import os
from dataclasses import dataclass

from ddt.containers.preparation import FILE_MODE
from ddt.rotation.journal import NEXT, RETIRED, Journal
from ddt.secret_files import read, write_privately


@dataclass(frozen=True)
class MountedJournal(Journal):
    """As its base, but for how the present value changes."""

    def switch(self, name: str) -> None:
        """Make the value to come the present one; keep the one before."""
        coming = read(self.folder, f"{name}{NEXT}")
        present = read(self.folder, name)
        if present != coming:
            write_privately(self.folder / f"{name}{RETIRED}", present)
            self.write(name, coming)
        (self.folder / f"{name}{NEXT}").unlink()

    def write(self, name: str, text: str) -> None:
        """Write into the secret's own file, in one call: a reader finds no half."""
        file = self.folder / name
        file.chmod(0o644)
        descriptor = os.open(file, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            octets = text.encode()
            os.pwrite(descriptor, octets, 0)
            os.ftruncate(descriptor, len(octets))
            os.fsync(descriptor)
        finally:
            os.fchmod(descriptor, FILE_MODE)
            os.close(descriptor)
