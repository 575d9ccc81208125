"""The platform's secrets: one file each, for the owner only, made once and never overwritten."""

import os
import secrets
from pathlib import Path

from ddt.errors import TroubleError

PASSWORDS = (
    "postgres-password",
    "pkakey-owner-password",
    "pkakey-web-password",
    "pkakey-worker-password",
    "pkakey-status-password",
    "pkakey-signer-password",
    "redis-password",
)
NAMES = (*PASSWORDS, "django-secret-key", "keystore-kek")
_COMPLETE = ".complete"


def prepare(folder: Path) -> list[str]:
    """Make the secrets that are not there yet and return their names; check those that are.

    Once all had been made, a missing one is not replaced: what it opens would stay shut for ever.
    Raises TroubleError for one that is missing then, empty, or unreadable.
    """
    private_folder(folder)
    complete = folder / _COMPLETE
    if complete.exists():
        for name in NAMES:
            read(folder, name)
        return []
    made = [name for name in NAMES if _make(folder / name)]
    for name in NAMES:
        read(folder, name)
    complete.touch(mode=0o600)
    return made


def read(folder: Path, name: str) -> str:
    """Return a secret without the white space around it; raises TroubleError when there is none."""
    file = folder / name
    try:
        text = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise TroubleError(
            f"The secret {file} is missing. Restore it from your backup: a new one would not open "
            "what the old one protects.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise TroubleError(
            f"The secret {file} cannot be read ({error}). Make it readable for this user: "
            f"chmod 600 {file}, and chown it if another user owns it.",
        ) from error
    if not text:
        raise TroubleError(
            f"The secret {file} is empty. Restore it from your backup. Only if this platform has "
            "never started: remove the file, and run the command again.",
        )
    return text


def private_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, or shut one that stands open."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
        if not folder.is_dir() or folder.is_symlink() or status.st_uid != os.geteuid():
            raise TroubleError(
                f"{folder} belongs to another user or is no folder. Set DDT_HOME to a folder of "
                "your own.",
            )
        if status.st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise TroubleError(
            f"The folder {folder} cannot be used: {error.strerror}. Check its permissions and the "
            "free space, or set DDT_HOME to another folder.",
        ) from error


def _make(file: Path) -> bool:
    if file.exists():
        if file.is_file() and os.access(file, os.R_OK) and file.stat().st_size == 0:
            # Nothing was ever protected by it: the first start was cut short here.
            file.unlink()
        else:
            return False
    # 32 random bytes each; Django asks for 50 characters and more of variety.
    write_privately(file, secrets.token_hex(32))
    return True


def write_privately(file: Path, text: str) -> None:
    """Write a file for its owner only, whole or not at all."""
    draft = file.with_name(f".{file.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(descriptor)
    draft.rename(file)
