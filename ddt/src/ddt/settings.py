"""Where a platform lives and how it is reached: DDT_HOME and what `ddt init` wrote into it."""

import hashlib
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ddt.errors import TroubleError

DEFAULT_DOMAIN = "theddt.localhost"
DEFAULT_HTTPS_PORT = 8443
DEFAULT_HTTP_PORT = 8080
WEAK_KEYS = "PKAKEY_WEAK_KEYS_FILE"
BACKUP_EVERY = "DDT_BACKUP_EVERY"
BACKUP_KEEP = "DDT_BACKUP_KEEP"
NAMES = (
    "DDT_DOMAIN", "DDT_HTTPS_PORT", "DDT_HTTP_PORT", "DATABASE_URL", WEAK_KEYS, BACKUP_EVERY,
    BACKUP_KEEP,
)  # fmt: skip
_HIGHEST_PORT = 65535
# A label of RFC 1035 section 2.3.1; the domain is a part of every certificate's addresses.
_DOMAIN = re.compile(
    r"(?=.{1,200}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+"
)
_LONGEST_SOCKET_FOLDER = 85  # sun_path holds 107 bytes; PostgreSQL adds ".s.PGSQL.5432.lock".


@dataclass(frozen=True)
class Settings:
    """One platform: its folder, domain and two ports, an outside database, a list of weak keys.

    `backup_every` and `backup_keep` are the schedule of backups, as it was typed; none: empty.
    """

    home: Path
    domain: str = DEFAULT_DOMAIN
    https_port: int = DEFAULT_HTTPS_PORT
    http_port: int = DEFAULT_HTTP_PORT
    database_url: str = ""
    weak_keys_file: Path | None = None
    backup_every: str = ""
    backup_keep: str = ""

    @property
    def host(self) -> str:
        """The name under which PKaKey is served."""
        return f"pkakey.{self.domain}"

    @property
    def hosts(self) -> list[str]:
        """Every name that the gateway serves."""
        return [self.domain, *(f"{name}.{self.domain}" for name in ("pkakey", "api", "flows"))]

    @property
    def portal(self) -> str:
        """The portal's address, without a slash at its end; port 443 stays unsaid."""
        return f"https://{self.host}{self._port(self.https_port, 443)}"

    @property
    def gateway(self) -> str:
        """The address of the gateway's dashboard."""
        return f"https://{self.domain}{self._port(self.https_port, 443)}"

    @property
    def data(self) -> str:
        """The address of the data API."""
        return f"https://api.{self.domain}{self._port(self.https_port, 443)}"

    @property
    def flows(self) -> str:
        """The address of the workflow service."""
        return f"https://flows.{self.domain}{self._port(self.https_port, 443)}"

    @property
    def plain(self) -> str:
        """The plain HTTP address under which CRL, OCSP and CA certificates are served."""
        return f"http://{self.host}{self._port(self.http_port, 80)}"

    @staticmethod
    def _port(port: int, usual: int) -> str:
        return "" if port == usual else f":{port}"

    @property
    def secrets(self) -> Path:
        """The folder of secret files."""
        return self.home / "secrets"

    @property
    def logs(self) -> Path:
        """The folder with one log file for each service."""
        return self.home / "logs"

    @property
    def tls(self) -> Path:
        """The folder with the gateway's certificate, its key and the root."""
        return self.home / "gateway" / "tls"

    @property
    def runtime(self) -> Path:
        """The folder of the Unix sockets: in the home, or a short one where the path is long."""
        usual = self.home / "run"
        if len(os.fsencode(usual)) <= _LONGEST_SOCKET_FOLDER:
            return usual
        mark = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"ddt-{os.getuid()}-{mark}"

    @property
    def control_socket(self) -> Path:
        """The supervisor's socket."""
        return self.runtime / "control.sock"

    def save(self) -> None:
        """Write the settings into the home, whole or not at all, for its owner only."""
        values = (
            self.domain, self.https_port, self.http_port, self.database_url,
            self.weak_keys_file or "", self.backup_every, self.backup_keep,
        )  # fmt: skip
        text = "".join(f"{name}={value}\n" for name, value in zip(NAMES, values, strict=True))
        draft = self.home / "config.new"
        draft.touch(mode=0o600)
        draft.write_text(text, encoding="utf-8")
        draft.replace(self.home / "config")


def home() -> Path:
    """Return DDT_HOME, or `.ddt` in the checkout that this command is installed from, or here."""
    named = os.environ.get("DDT_HOME", "")
    if named:
        return Path(named).expanduser().absolute()
    checkout = Path(sys.prefix).parent
    base = checkout if (checkout / "ddt" / "pyproject.toml").is_file() else Path.cwd()
    return base / ".ddt"


def load() -> Settings:
    """Return the settings: the environment's word first, then what was remembered, then defaults.

    Raises TroubleError for a value that cannot be.
    """
    folder = home()
    remembered = _remembered(folder / "config")

    def value(name: str, default: str) -> str:
        return os.environ.get(name) or remembered.get(name) or default

    domain = check_domain("DDT_DOMAIN", value("DDT_DOMAIN", DEFAULT_DOMAIN).lower())
    https_port = check_port("DDT_HTTPS_PORT", value("DDT_HTTPS_PORT", str(DEFAULT_HTTPS_PORT)))
    http_port = check_port("DDT_HTTP_PORT", value("DDT_HTTP_PORT", str(DEFAULT_HTTP_PORT)))
    if https_port == http_port:
        raise TroubleError(
            f"DDT_HTTPS_PORT and DDT_HTTP_PORT are both {http_port}. Give each its own port.",
        )
    # Remembered like the rest: a start without the variable must not forget what to refuse.
    weak_keys = value(WEAK_KEYS, "")
    return Settings(
        folder, domain, https_port, http_port, value("DATABASE_URL", ""),
        Path(weak_keys).expanduser().absolute() if weak_keys else None,
        value(BACKUP_EVERY, ""), value(BACKUP_KEEP, ""),
    )  # fmt: skip


def remembered(place: Path, usual: Settings) -> Settings:
    """Return the settings that a restored folder brings with it, else the usual ones."""
    values = _remembered(place / "config")
    https_port = values.get("DDT_HTTPS_PORT") or str(usual.https_port)
    http_port = values.get("DDT_HTTP_PORT") or str(usual.http_port)
    return Settings(
        place,
        check_domain("DDT_DOMAIN", values.get("DDT_DOMAIN") or usual.domain),
        check_port("DDT_HTTPS_PORT", https_port),
        check_port("DDT_HTTP_PORT", http_port),
    )


def check_domain(name: str, text: str) -> str:
    """Return the domain name that the variable holds; raises TroubleError when it is none."""
    if not _DOMAIN.fullmatch(text):
        raise TroubleError(
            f"{name} is '{text}', which is no domain name of two labels or more. Set it to one "
            f"such as {DEFAULT_DOMAIN}.",
        )
    return text


def check_port(name: str, text: str) -> int:
    """Return the port that the variable holds; raises TroubleError when it is none."""
    if not text.isdecimal() or not 1 <= int(text) <= _HIGHEST_PORT:
        raise TroubleError(f"{name} is '{text}'. Set it to a number from 1 to {_HIGHEST_PORT}.")
    return int(text)


def _remembered(file: Path) -> dict[str, str]:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise TroubleError(
            f"The settings in {file} cannot be read: {error}. Make the file readable for this "
            "user, or remove it and name the settings in the environment.",
        ) from error
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: rest for name, _, rest in pairs if name in NAMES}
