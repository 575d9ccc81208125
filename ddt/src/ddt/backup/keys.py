"""Who can open a backup: the age recipients it is encrypted to, and the identity that opens it.

The recipients (public keys) are enough to make a backup; the identity (the private key) may be
taken away from the machine, and has to be kept somewhere else too.
"""

from dataclasses import dataclass
from pathlib import Path

from pyrage import IdentityError, RecipientError, x25519

from ddt import secret_files
from ddt.errors import TroubleError

IDENTITY = "backup-identity"
RECIPIENTS = "recipients"
_LONGEST_FILE = 64 * 1024


@dataclass(frozen=True)
class Keys:
    """The two files: `identity` in the folder of secrets, `recipients` beside the backups."""

    identity: Path
    recipients: Path

    def ensure(self) -> bool:
        """Make both when there are no recipients yet; tell whether they were made now."""
        if self.recipients.exists():
            return False
        secret_files.private_folder(self.recipients.parent)
        secret_files.private_folder(self.identity.parent)
        if self.identity.exists():
            identity = read_identities(self.identity)[0]
        else:
            identity = x25519.Identity.generate()
            secret_files.write_privately(self.identity, f"{identity}\n")
        secret_files.write_privately(
            self.recipients,
            "# Public keys (age1…), one a line: backups are encrypted to all of them.\n"
            f"{identity.to_public()}\n",
        )
        return True


def read_recipients(file: Path) -> list[x25519.Recipient]:
    """Return the recipients; raises TroubleError when there is none, or a line is none."""
    found = []
    for number, line in _lines(file):
        try:
            found.append(x25519.Recipient.from_str(line))
        except RecipientError:
            raise TroubleError(
                f"Line {number} of {file} is no age public key. Each line is one that begins with "
                "age1; lines with # are left out.",
            ) from None
    if not found:
        raise TroubleError(f"{file} names nobody who could open a backup. Add an age public key.")
    return found


def read_identities(file: Path) -> list[x25519.Identity]:
    """Return the identities; raises TroubleError when the file has none that can be used."""
    found = []
    for number, line in _lines(file):
        try:
            found.append(x25519.Identity.from_str(line))
        except IdentityError:
            # What the line says may be most of a key: it is not repeated.
            raise TroubleError(
                f"Line {number} of {file} is no age private key. It begins with AGE-SECRET-KEY-1.",
            ) from None
    if not found:
        raise TroubleError(f"{file} holds no age private key. Name the file that does.")
    return found


def _lines(file: Path) -> list[tuple[int, str]]:
    try:
        with file.open("rb") as stream:
            text = stream.read(_LONGEST_FILE + 1).decode("utf-8")
    except FileNotFoundError:
        raise TroubleError(
            f"The file {file} is missing. Bring it back from where you keep a copy, or name it "
            "with --identity.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise TroubleError(f"The file {file} cannot be read: {error}. Name another one.") from None
    if len(text) > _LONGEST_FILE:
        raise TroubleError(f"The file {file} is too long for keys. Name another one.")
    stripped = ((n, line.strip()) for n, line in enumerate(text.splitlines(), 1))
    return [(n, line) for n, line in stripped if line and not line.startswith("#")]
