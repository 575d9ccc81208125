"""The environment, read once: every variable with its meaning."""

import re
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pkakey_engine.keys import KnownCompromisedKeys
from psycopg.conninfo import make_conninfo
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pkakey.config.weak_keys import read_weak_keys

MIN_SECRET_KEY_CHARACTERS = 50
_MIN_SERVICE_KEY_CHARACTERS = 32


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
    inventory_database_url: str | None = Field(
        default=None,
        description="PeSequel's database as inventory_writer; without it, events wait.",
    )
    inventory_database_password_file: Path | None = Field(
        default=None, description="The file with that role's password."
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
    token_signing_key_file: Path | None = Field(
        default=None, description="The file with the RSA key that signs tokens (PEM)."
    )
    oidc_issuer: str | None = Field(
        default=None, description="Keycloak's realm as in `iss`; people then sign in there."
    )
    oidc_internal_url: str | None = Field(
        default=None, description="Where this process reaches that realm; else at the issuer."
    )
    oidc_client_id: str = Field(default="pkakey", description="This service's client there.")
    oidc_client_secret_file: Path | None = Field(
        default=None, description="The file with that client's secret."
    )
    oidc_audience: str = Field(default="pkakey", description="The `aud` of tokens for this API.")
    internal_hosts: str = Field(
        default="", description="Names by which other services reach this process; commas between."
    )
    flows_url: str = Field(
        default="", description="KoolFlows' web process; without it, what needs approval waits."
    )
    flows_service_key_file: Path | None = Field(
        default=None, description="The file with the secret that KoolFlows shows here."
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
    heartbeat_file: Path | None = Field(
        default=None, description="What the worker and the scheduler touch while they live."
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

    @field_validator(
        "database_password_file",
        "admin_database_password_file",
        "inventory_database_password_file",
        "redis_password_file",
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
        if len(key) < MIN_SECRET_KEY_CHARACTERS or len(set(key)) < 5:  # noqa: PLR2004
            raise ValueError(
                f"The secret key in {self.secret_key_file} has fewer than "
                f"{MIN_SECRET_KEY_CHARACTERS} characters or repeats few of them; run `ddt init`."
            )
        return key

    @field_validator("oidc_issuer", "oidc_internal_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value is None or not value.strip():
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
            raise ValueError("An OIDC address is an http or https URL of a realm.")
        return value.rstrip("/")

    @property
    def token_key_file(self) -> Path | None:
        """The key for signing tokens: as named, or in the secrets folder."""
        if self.token_signing_key_file is not None or self.secrets_dir is None:
            return self.token_signing_key_file
        return self.secrets_dir / "token-signing-key"

    @cached_property
    def oidc_client_secret(self) -> str:
        """Our client's secret at Keycloak; raises ValueError without one."""
        file = self.oidc_client_secret_file
        secret = file.read_text().strip() if file is not None else ""
        if not secret:
            raise ValueError(
                "PKAKEY_OIDC_ISSUER is set, and PKAKEY_OIDC_CLIENT_SECRET_FILE names no file with "
                "a secret; run `ddt init`."
            )
        return secret

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
    def flows_service_key(self) -> str | None:
        """The secret that KoolFlows shows; raises ValueError for one that could be guessed."""
        if self.flows_service_key_file is None:
            return None
        key = self.flows_service_key_file.read_text().strip()
        if len(key) < _MIN_SERVICE_KEY_CHARACTERS:
            raise ValueError(
                f"The secret in {self.flows_service_key_file} is too short; run `ddt init`."
            )
        return key

    @property
    def metrics_address(self) -> tuple[str, int]:
        """The host and port of `metrics_listen`; raises ValueError without one."""
        host, _, port = (self.metrics_listen or "").rpartition(":")
        return host, int(port)

    @property
    def inventory_url(self) -> str | None:
        """The inventory's URL with the password from its file; None when there is no inventory."""
        if self.inventory_database_url is None or self.inventory_database_password_file is None:
            return self.inventory_database_url
        password = self.inventory_database_password_file.read_text().strip()
        return make_conninfo(self.inventory_database_url, password=password)

    @property
    def redis_url_with_password(self) -> str:
        """The Redis URL with the password from its file, when it has none of its own."""
        if self.redis_password_file is None or "@" in self.redis_url:
            return self.redis_url
        scheme, rest = self.redis_url.split("://", 1)
        return f"{scheme}://:{self.redis_password_file.read_text().strip()}@{rest}"
