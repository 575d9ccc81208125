"""Reading secret files: only a regular file that nobody else can read will do."""

import os
import stat
from pathlib import Path

from pkakey_signers.errors import StartRefused

_MAX_SECRET_BYTES = 4096
_KEY_ENCRYPTION_KEY_BYTES = 32


def read_secret(path: Path, what: str) -> bytes:
    """Return the file's contents without surrounding white space.

    ``what`` names the secret in the sentence of ``StartRefused``, which is raised when the file
    is missing, empty, longer than 4,096 octets, no regular file, or open to group or others.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise StartRefused(
            f"The {what} file {path} cannot be read ({error.strerror}); "
            "run 'ddt init', or give the signer's user the right to read it."
        ) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StartRefused(f"The {what} file {path} is no regular file.")
        refuse_open_modes(path, status, what)
        contents = os.read(descriptor, _MAX_SECRET_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(contents) > _MAX_SECRET_BYTES:
        raise StartRefused(f"The {what} file {path} is longer than {_MAX_SECRET_BYTES} octets.")
    if not contents.strip():
        raise StartRefused(f"The {what} file {path} is empty; restore it from a backup.")
    return contents.strip()


def refuse_open_modes(path: Path, status: os.stat_result, what: str) -> None:
    """Raise ``StartRefused`` when group or others have any right to it, or a third user owns it."""
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        wanted = "700" if stat.S_ISDIR(status.st_mode) else "600"
        raise StartRefused(
            f"The {what} {path} is open to others (mode {mode:o}); run: chmod {wanted} {path}"
        )
    if status.st_uid not in {0, os.geteuid()}:
        raise StartRefused(
            f"The {what} {path} belongs to the user with the number {status.st_uid}, not to the "
            f"signer's ({os.geteuid()}); change its owner."
        )


def read_key_encryption_key(path: Path) -> bytes:
    """Return the key-encryption key: the file holds at least 32 random octets in hex."""
    text = read_secret(path, "key-encryption key")
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        raise StartRefused(
            f"The key-encryption key file {path} is not hex; it holds 64 or more hex digits."
        ) from None
    if len(key) < _KEY_ENCRYPTION_KEY_BYTES:
        raise StartRefused(
            f"The key-encryption key in {path} has {len(key)} octets; "
            f"at least {_KEY_ENCRYPTION_KEY_BYTES} random octets (64 hex digits) are needed."
        )
    if len(set(key)) < _KEY_ENCRYPTION_KEY_BYTES // 4:
        # 32 random octets have fewer than 8 different values with a chance below 2**-130.
        raise StartRefused(f"The key-encryption key in {path} is not random; make a new one.")
    return key
