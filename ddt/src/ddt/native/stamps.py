"""Which one-shots can be left out: their code and settings are what they were."""

import hashlib
import json
import os
from collections.abc import Callable
from importlib.metadata import distributions
from itertools import chain
from pathlib import Path

from ddt.settings import Settings

SOURCES = [Path(__file__).parents[4] / name for name in ("PKaKey", "PeSequel", "KoolFlows")]


class Stamps:
    """The marks of the tasks that were done in a home, with a digest of what they depend on."""

    def __init__(self, settings: Settings) -> None:
        """Take the digest of this moment; nothing is written."""
        self._folder = settings.home / "stamps"
        self._fingerprint = _fingerprint(settings)

    def is_needed(self, name: str, intact: Callable[[], bool]) -> bool:
        """Return whether the task has to be done again."""
        stamp = self._folder / name
        return not (
            stamp.is_file() and stamp.read_text(encoding="utf-8") == self._fingerprint and intact()
        )

    def done(self, name: str) -> None:
        """Note that the task was done."""
        (self._folder / name).write_text(self._fingerprint, encoding="utf-8")


def _fingerprint(settings: Settings) -> str:
    """Return a digest of what the one-shots depend on: our code, the libraries, the addresses."""
    digest = hashlib.sha256()
    facts = [settings.domain, settings.https_port, settings.http_port, settings.database_url]
    digest.update(json.dumps(facts).encode())
    for name in sorted(f"{d.name}={d.version}" for d in distributions()):
        digest.update(name.encode())
    for folder, names, files in chain.from_iterable(map(os.walk, SOURCES)):
        names[:] = sorted(n for n in names if n not in {"tests", "__pycache__"})
        for file in sorted(files):
            status = (Path(folder) / file).stat()
            digest.update(f"{folder}/{file} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
