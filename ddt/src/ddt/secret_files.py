"""The platform's secrets: one file each, for the owner only, made once and never overwritten."""

import os
import secrets
from collections.abc import Callable
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
# What a later release added: made where it is missing, since nothing was shut by it before.
ADDED = (
    "pesequel-authenticator-password",
    "pesequel-relay-password",
    "pesequel-pgadmin-password",
    "koolflows-owner-password",
    "koolflows-web-password",
    "koolflows-worker-password",
    "koolflows-secret-key",
    "koolflows-service-key",
)
NAMES = (*PASSWORDS, *ADDED, "django-secret-key", "keystore-kek")
TOKEN_KEY = "token-signing-key"  # noqa: S105  # A file's name.
_TOKEN_KEY_BITS = 3072
_COMPLETE = ".complete"


def prepare(folder: Path) -> list[str]:
    """Make the secrets that are not there yet and return their names; check those that are.

    Once all had been made, a missing one is not replaced: what it opens would stay shut for ever.
    But the key that signs tokens is: a new one only ends the tokens of the old one.
    Raises TroubleError for one that is missing then, empty, or unreadable.
    """
    private_folder(folder)
    new_key = [TOKEN_KEY] if _make(folder / TOKEN_KEY, new_token_key) else []
    read(folder, TOKEN_KEY)
    complete = folder / _COMPLETE
    if complete.exists():
        known = complete.read_text(encoding="ascii").split()
        made = [name for name in ADDED if name not in known and _make(folder / name)]
        for name in NAMES:
            read(folder, name)
        _remember(complete)
        return made + new_key
    made = [name for name in NAMES if _make(folder / name)]
    for name in NAMES:
        read(folder, name)
    _remember(complete)
    return made + new_key


def _remember(complete: Path) -> None:
    """Note that all of these were made: one that is missing later is lost."""
    complete.touch(mode=0o600)
    complete.write_text("".join(f"{name}\n" for name in NAMES), encoding="ascii")


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


def _random() -> str:
    # 32 random bytes; Django asks for 50 characters and more of variety.
    return secrets.token_hex(32)


def new_token_key() -> str:
    """Return a new key for signing tokens, in PEM."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  # Slow to load.
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    key = rsa.generate_private_key(public_exponent=65537, key_size=_TOKEN_KEY_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode("ascii")


def _make(file: Path, new: Callable[[], str] = _random) -> bool:
    if file.exists():
        if file.is_file() and os.access(file, os.R_OK) and file.stat().st_size == 0:
            # Nothing was ever protected by it: the first start was cut short here.
            file.unlink()
        else:
            return False
    write_privately(file, new())
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
