"""The environment, read once: every variable with its meaning."""

from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

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
    secrets_dir: Path | None = Field(default=None, description="The folder of secret files.")
    domain: str = Field(default="theddt.localhost", description="The platform's domain.")
    https_port: int = Field(default=8443, ge=1, le=65535, description="The gateway's HTTPS port.")
    http_port: int = Field(default=8080, ge=1, le=65535, description="The gateway's HTTP port.")
    static_root: Path | None = Field(default=None, description="Where collectstatic writes.")
    media_root: Path | None = Field(default=None, description="Where uploads are kept.")
    gateway_tls_dir: Path | None = Field(
        default=None, description="Where the gateway's certificate and key are written."
    )
    sent_stamp: Path | None = Field(
        default=None, description="A file that beat touches whenever it sends a task."
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

    def password(self, role: str) -> str | None:
        """Return the password of a database role from the secrets folder, if it is there."""
        if self.secrets_dir is None:
            return None
        file = self.secrets_dir / f"{role.replace('_', '-')}-password"
        return file.read_text().strip() if file.exists() else None

    @property
    def redis_url_with_password(self) -> str:
        """The Redis URL with the password from its file, when it has none of its own."""
        if self.redis_password_file is None or "@" in self.redis_url:
            return self.redis_url
        scheme, rest = self.redis_url.split("://", 1)
        return f"{scheme}://:{self.redis_password_file.read_text().strip()}@{rest}"
