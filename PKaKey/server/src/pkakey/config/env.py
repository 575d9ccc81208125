"""The environment, read once: every variable with its meaning."""

import re
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Self

from pkakey_engine.keys import KnownCompromisedKeys
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pkakey.config.weak_keys import read_weak_keys

MIN_SECRET_KEY_CHARACTERS = 50


class Env(BaseSettings):
    """Frozen values from `PKAKEY_…`; a failed check never prints a value."""

    model_config = SettingsConfigDict(
        env_prefix="PKAKEY_", frozen=True, hide_input_in_errors=True, extra="ignore"
    )

    database_url: str = Field(description="PostgreSQL as this process's own role.")
    database_password_file: Path | None = Field(
        default=None, description="The file with that role's password."
    )
    database_pooled: bool = Field(
        default=True,
        description="Whether a pooler in transaction mode may stand before PostgreSQL; then "
        "no statement is prepared.",
    )
    admin_database_url: str | None = Field(
        default=None, description="PostgreSQL as an administrator; only for prepare_database."
    )
    admin_database_password_file: Path | None = Field(
        default=None, description="The file with the administrator's password."
    )
    redis_url: str = Field(description="The Redis-compatible server: broker, cache, event stream.")
    redis_password_file: Path | None = Field(
        default=None, description="The file with its password, unless the URL holds it."
    )
    signer_socket: Path = Field(description="The signer's Unix socket.")
    secret_key_file: Path = Field(description="The file with Django's secret key.")
    secret_key_fallbacks_file: Path | None = Field(
        default=None,
        description="Secret keys before it, each in a line 'UNTIL KEY': they still open sessions.",
    )
    secrets_dir: Path | None = Field(default=None, description="The folder of secret files.")
    domain: str = Field(default="theddt.localhost", description="The platform's domain.")
    https_port: int = Field(default=8443, ge=1, le=65535, description="The gateway's HTTPS port.")
    http_port: int = Field(default=8080, ge=1, le=65535, description="The gateway's HTTP port.")
    static_root: Path | None = Field(default=None, description="Where collectstatic writes.")
    media_root: Path | None = Field(default=None, description="Where uploads are kept.")
    gateway_tls_dir: Path | None = Field(
        default=None, description="Where the gateway's certificate and key are written."
    )
    weak_keys_file: Path | None = Field(
        default=None, description="A list of public keys to refuse, such as Debian's weak ones."
    )
    metrics_dir: Path | None = Field(
        default=None, description="Where the processes of a service count; none: in memory."
    )
    metrics_listen: str | None = Field(
        default=None, description="HOST:PORT where figures are shown; never routed by the gateway."
    )
    metrics_gateway_url: str | None = Field(
        default=None, description="The gateway's own figures, shown beside ours."
    )
    backup_dir: Path | None = Field(
        default=None, description="Where backups lie; their age is a figure."
    )
    debug: bool = Field(default=False, description="Django's debug mode; never in production.")
    log_level: str = Field(default="INFO", description="The least level that is logged.")

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        level = value.upper()
        if level not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
            raise ValueError("The log level is one of DEBUG, INFO, WARNING, ERROR, CRITICAL.")
        return level

    @field_validator("metrics_listen")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[^\s:]+:[0-9]{1,5}", value):
            raise ValueError("Where figures are shown is HOST:PORT, such as 127.0.0.1:9464.")
        return value

    @classmethod
    def load(cls) -> Self:
        """Read the environment; every error is reported at once."""
        return cls()

    @cached_property
    def secret_key(self) -> str:
        """Django's secret key; raises ValueError for one that could be guessed."""
        key = self.secret_key_file.read_text().strip()
        if len(key) < MIN_SECRET_KEY_CHARACTERS or len(set(key)) < 5:  # noqa: PLR2004
            raise ValueError(
                f"The secret key in {self.secret_key_file} has fewer than "
                f"{MIN_SECRET_KEY_CHARACTERS} characters or repeats few of them; run `ddt init`."
            )
        return key

    def secret_key_fallbacks(self, now: datetime) -> list[str]:
        """Return the secret keys before the present one that count at this moment, newest first.

        Raises ValueError for a line that is not `UNTIL KEY`, UNTIL being an ISO 8601 moment.
        """
        file = self.secret_key_fallbacks_file
        if file is None or not file.exists():
            return []
        found = []
        for number, line in enumerate(file.read_text().splitlines(), 1):
            until, _, key = line.partition(" ")
            try:
                is_over = datetime.fromisoformat(until) <= now
            except (ValueError, TypeError):
                is_over = None
            if is_over is None or len(key) < MIN_SECRET_KEY_CHARACTERS:
                # The line may be most of a key: it is not repeated.
                raise ValueError(
                    f"Line {number} of {file} is not 'UNTIL KEY', such as a moment with its zone "
                    "and a secret key; remove the file, and people sign in again."
                )
            if not is_over:
                found.append(key)
        return found

    @cached_property
    def weak_keys(self) -> KnownCompromisedKeys:
        """The operator's list of keys to refuse; raises ValueError for a file that is no list."""
        return read_weak_keys(self.weak_keys_file)

    def password(self, role: str) -> str | None:
        """Return the password of a database role from the secrets folder, if it is there."""
        if self.secrets_dir is None:
            return None
        file = self.secrets_dir / f"{role.replace('_', '-')}-password"
        return file.read_text().strip() if file.exists() else None

    @property
    def metrics_address(self) -> tuple[str, int]:
        """The host and port of `metrics_listen`; raises ValueError without one."""
        host, _, port = (self.metrics_listen or "").rpartition(":")
        return host, int(port)

    @property
    def redis_url_with_password(self) -> str:
        """The Redis URL with the password from its file, when it has none of its own."""
        if self.redis_password_file is None or "@" in self.redis_url:
            return self.redis_url
        scheme, rest = self.redis_url.split("://", 1)
        return f"{scheme}://:{self.redis_password_file.read_text().strip()}@{rest}"
