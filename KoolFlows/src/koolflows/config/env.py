"""The environment, read once: every variable with its meaning."""

from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIN_SECRET_CHARACTERS = 50
MIN_DISTINCT_CHARACTERS = 5


class Env(BaseSettings):
    """Frozen values from `KOOLFLOWS_…`; a failed check never prints a value."""

    model_config = SettingsConfigDict(
        env_prefix="KOOLFLOWS_", frozen=True, hide_input_in_errors=True, extra="ignore"
    )

    database_url: str = Field(description="PostgreSQL as this process's own role.")
    database_password_file: Path | None = Field(
        default=None, description="The file with that role's password."
    )
    admin_database_url: str | None = Field(
        default=None, description="PostgreSQL as an administrator; only for prepare_database."
    )
    admin_database_password_file: Path | None = Field(
        default=None, description="The file with the administrator's password."
    )
    secret_key_file: Path = Field(description="The file with Django's secret key.")
    secrets_dir: Path | None = Field(default=None, description="The folder of secret files.")
    domain: str = Field(default="theddt.localhost", description="The platform's domain.")
    https_port: int = Field(default=8443, ge=1, le=65535, description="The gateway's HTTPS port.")
    trusted_issuers: dict[str, str] = Field(
        description="JSON: each trusted issuer with the address (or file) of its key set."
    )
    oidc_audience: str = Field(default="koolflows", description="The audience of our tokens.")
    pkakey_url: str = Field(default="", description="PKaKey's web process, for service tasks.")
    service_key_file: Path | None = Field(
        default=None, description="The file with the secret that PKaKey knows this service by."
    )
    webhooks: dict[str, str] = Field(
        default_factory=dict,
        description="JSON: names of webhooks and their addresses; `notices` gets every notice.",
    )
    webhook_secret_file: Path | None = Field(
        default=None, description="The file with the secret that signs webhooks."
    )
    smtp_url: str = Field(default="", description="The mail server: smtp://host:port.")
    mail_from: str = Field(default="theddt@localhost", description="Whom mails come from.")
    mail_to: str = Field(default="", description="Whom notices go to, separated by spaces.")
    heartbeat_file: Path | None = Field(
        default=None, description="What the worker touches while it lives."
    )
    diagrams_dir: Path | None = Field(
        default=None, description="The folder of the shipped diagrams, unless beside the package."
    )
    log_level: str = Field(default="INFO", description="The least level that is logged.")

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        level = value.upper()
        if level not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
            raise ValueError("The log level is one of DEBUG, INFO, WARNING, ERROR, CRITICAL.")
        return level

    @field_validator(
        "database_password_file",
        "admin_database_password_file",
        "service_key_file",
    )
    @classmethod
    def _holds_something(cls, value: Path | None) -> Path | None:
        if value is not None and value.is_file() and not value.read_bytes().strip():
            raise ValueError(f"The secret {value} is empty; restore it, or run `ddt init`.")
        return value

    @classmethod
    def load(cls) -> Self:
        """Read the environment; every error is reported at once."""
        return cls()

    @cached_property
    def secret_key(self) -> str:
        """Django's secret key; raises ValueError for one that could be guessed."""
        key = self.secret_key_file.read_text().strip()
        if len(key) < MIN_SECRET_CHARACTERS or len(set(key)) < MIN_DISTINCT_CHARACTERS:
            raise ValueError(
                f"The secret key in {self.secret_key_file} has fewer than "
                f"{MIN_SECRET_CHARACTERS} characters or repeats few of them; run `ddt init`."
            )
        return key

    def password(self, role: str) -> str | None:
        """Return the password of a database role from the secrets folder, if it is there."""
        if self.secrets_dir is None:
            return None
        file = self.secrets_dir / f"{role.replace('_', '-')}-password"
        return file.read_text().strip() if file.exists() else None
