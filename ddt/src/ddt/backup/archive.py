"""The backup file: a tar in an age file. Its last member tells what has to be in it.

Nothing of it is ever on disk in the clear but what is restored from it. age finds every change and
cut; it does not tell who made a file (docs/operations.md).
"""

import hashlib
import io
import json
import os
import re
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyrage
from pyrage import DecryptError, EncryptError, x25519

from ddt.errors import TroubleError

MANIFEST = "manifest.json"
FORMAT = "theDDT backup"
VERSION = 1
_LONGEST_MANIFEST = 64 * 1024 * 1024
_CHUNK = 256 * 1024
# What is restored lies in these places only, whoever made the file.
_NAME = re.compile(
    r"(databases/[A-Za-z0-9_-]{1,63}/([A-Za-z0-9_-]{1,63}\.dump|roles\.sql)"
    r"|(config|recipients)"
    r"|(secrets|keystore|media|gateway)(/[^/\x00-\x1f]{1,255}){1,8})"
)


@dataclass(frozen=True)
class Member:
    """A file for the backup; `limit` cuts what was appended since the backup began."""

    name: str
    path: Path
    limit: int | None = None


def write(
    target: Path,
    members: Iterable[Member],
    manifest: dict[str, Any],
    recipients: Sequence[x25519.Recipient],
) -> str:
    """Write the encrypted file, whole or not at all, and return its SHA-256 in hex.

    Raises TroubleError when it cannot be written; what was there under that name then stays.
    """
    draft = target.with_name(f"{target.name}.part")
    draft.unlink(missing_ok=True)
    try:
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w+b") as out:
            with _pipe_from(lambda pipe: _write_tar(pipe, members, manifest)) as tar:
                pyrage.encrypt_io(tar, out, list(recipients))
            out.flush()
            os.fsync(descriptor)
            out.seek(0)
            digest = hashlib.file_digest(out, "sha256").hexdigest()
        draft.rename(target)
    except (EncryptError, OSError) as error:
        raise TroubleError(
            f"The backup {target} could not be written: {error}. Free some space or choose another "
            "place with --out; older backups are as they were.",
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    return digest


def _write_tar(pipe: IO[bytes], members: Iterable[Member], manifest: dict[str, Any]) -> None:
    listed: dict[str, dict[str, object]] = {}
    with tarfile.open(fileobj=pipe, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            with member.path.open("rb") as source:
                size = os.fstat(source.fileno()).st_size
                info = tarfile.TarInfo(checked(member.name))
                info.size = size if member.limit is None else min(size, member.limit)
                info.mode = 0o600
                digesting = _Digesting(source, info.size)
                tar.addfile(info, digesting)
            listed[member.name] = {"size": info.size, "sha256": digesting.digest.hexdigest()}
        text = json.dumps({**manifest, "format": FORMAT, "version": VERSION, "members": listed})
        info = tarfile.TarInfo(MANIFEST)
        info.size = len(text.encode())
        tar.addfile(info, io.BytesIO(text.encode()))


class _Digesting(io.RawIOBase):
    """Reads as many octets as were promised: a file that shrinks meanwhile is an error."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        self.digest = hashlib.sha256()
        self._source = source
        self._left = size

    def read(self, size: int = -1) -> bytes:
        octets = self._source.read(self._left if size < 0 else min(size, self._left))
        self.digest.update(octets)
        self._left -= len(octets)
        return octets


def extract(file: Path, folder: Path, identities: Sequence[x25519.Identity]) -> dict[str, Any]:
    """Decrypt the file's members into the folder, check each, and return the manifest.

    Raises TroubleError for a file that is changed, cut, no backup, or encrypted to others.
    """
    try:
        with (
            file.open("rb") as source,
            _pipe_from(lambda pipe: pyrage.decrypt_io(source, pipe, list(identities))) as tar,
        ):
            return _read_tar(tar, folder)
    except (
        DecryptError,
        tarfile.TarError,
        ValueError,
        KeyError,
        TypeError,
        RecursionError,
    ) as error:
        if "No matching keys" in str(error):
            raise TroubleError(
                f"The backup {file} is encrypted to other keys. Name the file with the private key "
                "that belongs to it: --identity FILE",
            ) from None
        raise TroubleError(
            f"{file} is no whole backup of theDDT ({_reason(error)}): it was changed, cut short, "
            "or is something else. Take another one.",
        ) from error
    except OSError as error:
        if error.errno is not None:
            raise
        # The library's word for a chunk that was changed.
        raise TroubleError(
            f"{file} was changed or cut short: its encryption does not hold. Take another one.",
        ) from error


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _read_tar(pipe: IO[bytes], folder: Path) -> dict[str, Any]:
    found: dict[str, dict[str, object]] = {}
    manifest: dict[str, Any] | None = None
    with tarfile.open(fileobj=pipe, mode="r|") as tar:
        for info in tar:
            content = tar.extractfile(info) if info.isreg() else None
            if content is None or manifest is not None:
                raise ValueError(f"it has a member '{info.name}' that it should not have")
            if info.name == MANIFEST:
                if info.size > _LONGEST_MANIFEST:
                    raise ValueError("its list of contents is too long")
                manifest = json.loads(content.read())
                continue
            if info.name in found:
                raise ValueError(f"'{info.name}' is in it twice")
            found[info.name] = _save(content, folder / checked(info.name))
        # To the very end: only then has the last chunk's seal been checked.
        while pipe.read(_CHUNK):
            pass
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ValueError("it has no list of contents")
    if manifest.get("version") != VERSION:
        raise ValueError(
            f"it is of version {manifest.get('version')}; this release reads {VERSION}"
        )
    if manifest["members"] != found:
        raise ValueError("what is in it differs from its list of contents")
    return manifest


def _save(content: IO[bytes], target: Path) -> dict[str, object]:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    size = 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        while octets := content.read(_CHUNK):
            out.write(octets)
            digest.update(octets)
            size += len(octets)
        out.flush()
        os.fsync(descriptor)
    return {"size": size, "sha256": digest.hexdigest()}


def checked(name: str) -> str:
    """Return the name of a member; raises ValueError for one that leads elsewhere."""
    parts = name.split("/")
    if _NAME.fullmatch(name) is None or ".." in parts or "." in parts:
        raise ValueError(f"'{name[:200]}' is no name of a member")
    return name


@contextmanager
def _pipe_from(write_all: Callable[[IO[bytes]], object]) -> Iterator[IO[bytes]]:
    """Yield what the function writes into a pipe in a thread of its own; raise what it raises."""
    reading, writing = os.pipe()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with os.fdopen(writing, "wb") as pipe:
                write_all(pipe)
        except BaseException as error:  # noqa: BLE001  # Raised again by the thread that waits.
            failures.append(error)

    thread = threading.Thread(target=work, daemon=True)
    with os.fdopen(reading, "rb") as pipe:
        thread.start()
        try:
            yield pipe
        except BaseException:
            pipe.close()
            thread.join()
            if failures and not isinstance(failures[0], BrokenPipeError):
                raise failures[0] from None
            raise
    thread.join()
    if failures:
        raise failures[0]
