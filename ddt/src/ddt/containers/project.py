"""The compose project: where docker-compose.yml is, what it needs, and what .env says."""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

from ddt.containers.secret_kinds import BUILD_ONLY
from ddt.errors import TroubleError
from ddt.settings import check_domain, check_port

COMPOSE_FILE = "docker-compose.yml"
NAME = "theddt"
DEFAULT_DOMAIN = "theddt.local"
FOLDER_VARIABLE = "DDT_PROJECT"
HOSTS = ("", "keycloak", "auth", "api", "pgadmin", "pkakey", "flows")
"""The names under the domain that the gateway serves; the first is the domain itself."""
SECRETS_VARIABLE = "SECRETS_DIR"
DEFAULT_SECRETS = "./secrets"
BACKUPS = "backups"
_SECRET_FILE = re.compile(r"(\$\{SECRETS_DIR(:[-?][^}]*)?\}|\./secrets)/[a-z0-9][a-z0-9_.-]*")
_LONGEST_FILE = 1024 * 1024


@dataclass(frozen=True)
class Project:
    """One compose project: its folder and the three settings that addresses are made of."""

    folder: Path
    domain: str
    https_port: int
    http_port: int

    @property
    def compose_file(self) -> Path:
        """The shipped docker-compose.yml."""
        return self.folder / COMPOSE_FILE

    @property
    def secrets(self) -> Path:
        """The folder of secret files; compose mounts single files of it."""
        return secrets_folder(self.folder)

    @property
    def backups(self) -> Path:
        """The folder of backups; no image and no container sees it."""
        return self.folder / BACKUPS

    @property
    def hosts(self) -> list[str]:
        """Every name that the gateway serves."""
        return [f"{name}.{self.domain}".lstrip(".") for name in HOSTS]

    def address(self, name: str) -> str:
        """Return the HTTPS address of a name under the domain; "" is the domain itself."""
        port = "" if self.https_port == 443 else f":{self.https_port}"  # noqa: PLR2004  # HTTPS.
        return f"https://{f'{name}.{self.domain}'.lstrip('.')}{port}"


def folder() -> Path:
    """Return DDT_PROJECT, the folder here, or the checkout that this command comes from.

    Raises TroubleError when none of them has a docker-compose.yml.
    """
    named = os.environ.get(FOLDER_VARIABLE, "")
    choices = [Path(named).expanduser().absolute()] if named else [Path.cwd(), _checkout()]
    for choice in choices:
        if (choice / COMPOSE_FILE).is_file():
            return choice
    raise TroubleError(
        f"There is no {COMPOSE_FILE} in {' nor in '.join(str(c) for c in dict.fromkeys(choices))}. "
        f"Run the command in a checkout of theDDT, or set {FOLDER_VARIABLE} to one.",
    )


def _checkout() -> Path:
    return Path(sys.prefix).parent


def load(place: Path | None = None) -> Project:
    """Return the project as its .env describes it; the environment's word comes first.

    Raises TroubleError for a value that cannot be.
    """
    where = place or folder()
    written = environment_of(where / ".env")

    def value(name: str, default: str) -> str:
        return os.environ.get(name) or written.get(name) or default

    domain = check_domain("DOMAIN", value("DOMAIN", DEFAULT_DOMAIN).lower())
    https_port = check_port("HTTPS_PORT", value("HTTPS_PORT", "443"))
    http_port = check_port("HTTP_PORT", value("HTTP_PORT", "80"))
    if https_port == http_port:
        raise TroubleError(
            f"HTTPS_PORT and HTTP_PORT are both {http_port}. Give each its own port in .env.",
        )
    return Project(where, domain, https_port, http_port)


def environment_of(file: Path) -> dict[str, str]:
    """Return the variables of an .env file that have a value; none when there is no file."""
    if not file.is_file():
        return {}
    try:
        values = dotenv_values(file, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise TroubleError(
            f"{file} cannot be read ({error}). Make it readable, or remove it and run "
            "'ddt init --docker'.",
        ) from error
    return {name: text for name, text in values.items() if text}


def secrets_folder(place: Path) -> Path:
    """Return the folder that SECRETS_DIR names, in the environment or in .env; else `secrets`."""
    written = environment_of(place / ".env").get(SECRETS_VARIABLE, "")
    named = os.environ.get(SECRETS_VARIABLE) or written or DEFAULT_SECRETS
    return (place / Path(named).expanduser()).absolute()


def secret_files(place: Path) -> dict[str, Path]:
    """Return the file of each secret that docker-compose.yml names at its top level.

    Raises TroubleError for a file that is no compose file, and for a secret that is not a file
    in the folder of secrets.
    """
    found: dict[str, Path] = {}
    folder = secrets_folder(place)
    for name, entry in _section(place, "secrets").items():
        if name == BUILD_ONLY:
            continue
        file = str(entry.get("file", "")) if isinstance(entry, dict) else ""
        if _SECRET_FILE.fullmatch(file) is None or not file.endswith(f"/{name}"):
            raise TroubleError(
                f"The secret '{name}' in {place / COMPOSE_FILE} is no file in the folder of "
                f'secrets. Write it as: {name}: {{file: "${{{SECRETS_VARIABLE}}}/{name}"}}',
            )
        found[str(name)] = folder / str(name)
    return found


def services(place: Path) -> dict[str, Any]:
    """Return the services as docker-compose.yml writes them."""
    return _section(place, "services")


def _section(place: Path, name: str) -> dict[str, Any]:
    file = place / COMPOSE_FILE
    try:
        if file.stat().st_size > _LONGEST_FILE:
            raise TroubleError(f"{file} is longer than {_LONGEST_FILE} octets: it is not ours.")
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise TroubleError(
            f"{file} cannot be read: {error}. Take it back from the release that you run.",
        ) from error
    section = document.get(name) if isinstance(document, dict) else None
    if not isinstance(section, dict):
        raise TroubleError(
            f"{file} has no '{name}'. Take it back from the release that you run.",
        )
    return section
