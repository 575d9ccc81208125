"""The environment of the command: every variable with its meaning."""

import os
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import make_conninfo

from pesequel.errors import TroubleError

ADMIN_URL = "PESEQUEL_ADMIN_DATABASE_URL"
"""PostgreSQL as an administrator who may create roles and databases."""
ADMIN_PASSWORD_FILE = "PESEQUEL_ADMIN_DATABASE_PASSWORD_FILE"  # noqa: S105  # A variable's name.
"""The file with that administrator's password, unless the URL holds it."""
SECRETS_DIR = "PESEQUEL_SECRETS_DIR"
"""The folder with the files that SECRET_OF_ROLE names."""
TOKEN_ISSUERS = "PESEQUEL_TOKEN_ISSUERS"  # noqa: S105  # A variable's name.
"""The issuers (`iss`) whose tokens are taken, separated by blanks."""

SECRET_OF_ROLE = {
    "authenticator": "pesequel-authenticator-password",
    "inventory_writer": "pesequel-relay-password",
    "pgadmin": "pesequel-pgadmin-password",
}


@dataclass(frozen=True)
class Environment:
    """What the command needs to know; the URL holds a password, so it is never printed."""

    admin_url: str
    secrets_dir: Path | None
    issuers: tuple[str, ...]

    def password(self, role: str) -> str:
        """Return a role's password from its file; raises TroubleError when there is none."""
        if self.secrets_dir is None:
            raise TroubleError(f"{SECRETS_DIR} is not set; it names the folder of secret files.")
        return _read(self.secrets_dir / SECRET_OF_ROLE[role])


def load() -> Environment:
    """Read the environment; raises TroubleError for what is missing."""
    url = os.environ.get(ADMIN_URL, "")
    if not url:
        raise TroubleError(f"{ADMIN_URL} is not set; it names PostgreSQL as an administrator.")
    if file := os.environ.get(ADMIN_PASSWORD_FILE, ""):
        url = make_conninfo(url, password=_read(Path(file)))
    folder = os.environ.get(SECRETS_DIR, "")
    issuers = tuple(os.environ.get(TOKEN_ISSUERS, "").split())
    return Environment(url, Path(folder) if folder else None, issuers)


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise TroubleError(f"The secret {file} cannot be read: {error.strerror}.") from error
    if not text:
        raise TroubleError(f"The secret {file} is empty; restore it, or run 'ddt init'.")
    return text
