"""Which variables each process of the native platform gets: no more than it needs."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ddt.native import ports, postgresql
from ddt.native.ports import Ports
from ddt.settings import WEAK_KEYS, Settings

DATABASE = "pkakey"
DATA_DATABASE = "pesequel"
FLOWS_DATABASE = "koolflows"
_NOTICES = (
    "KOOLFLOWS_SMTP_URL", "KOOLFLOWS_MAIL_FROM", "KOOLFLOWS_MAIL_TO", "KOOLFLOWS_WEBHOOKS",
    "KOOLFLOWS_WEBHOOK_SECRET_FILE",
)  # fmt: skip


def plain(settings: Settings) -> dict[str, str]:
    """Return what every child gets: enough to find programs, and whose platform it is."""
    names = ("PATH", "HOME", "TMPDIR", "LANG", "PYTHONPATH")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {
        **kept, "DDT_HOME": str(settings.home), "PYTHONUNBUFFERED": "1", "TZ": "UTC",
    }  # fmt: skip


def database_url(settings: Settings, user: str, database: str = DATABASE) -> str:
    """Return the address of a database for one of our roles, without its password."""
    if not settings.database_url:
        return postgresql.url(settings.runtime, user=user, database=database)
    parts = conninfo_to_dict(settings.database_url)
    for name in ("user", "password", "dbname"):
        parts.pop(name, None)
    return make_conninfo("", **{**parts, "user": user, "dbname": database})


def of_manage(settings: Settings) -> dict[str, str]:
    """Return the environment for one of PKaKey's management commands, run by hand."""
    environments = Environments(settings, ports.of_running(settings))
    return {**os.environ, **environments.pkakey("worker", is_admin=True)}


@dataclass(frozen=True)
class Environments:
    """The environments of one platform's services, on these ports."""

    settings: Settings
    ports: Ports

    @property
    def is_embedded(self) -> bool:
        """Whether the database server is the platform's own."""
        return not self.settings.database_url

    @property
    def signer_socket(self) -> Path:
        """The signer's Unix socket."""
        return self.settings.runtime / "signer.sock"

    @property
    def metrics_folder(self) -> Path:
        """Where PKaKey's processes count."""
        return self.settings.home / "metrics"

    @property
    def flows_keys(self) -> Path:
        """Where KoolFlows reads the public keys of PKaKey's tokens."""
        return self.settings.home / "koolflows" / "jwks.json"

    def pkakey(self, role: str, *, is_admin: bool = False) -> dict[str, str]:
        """Return PKaKey's environment for a process of this database role."""
        settings = self.settings
        secrets = settings.secrets
        environment = {
            **self._ours(),
            "DJANGO_SETTINGS_MODULE": "pkakey.config.settings",
            "PKAKEY_DATABASE_URL": database_url(settings, f"pkakey_{role}"),
            "PKAKEY_DATABASE_PASSWORD_FILE": str(secrets / f"pkakey-{role}-password"),
            # The embedded server is reached through its own socket; one's own may have a pooler.
            "PKAKEY_DATABASE_POOLED": str(not self.is_embedded).lower(),
            "PKAKEY_REDIS_URL": f"redis://127.0.0.1:{self.ports.valkey}/0",
            "PKAKEY_REDIS_PASSWORD_FILE": str(secrets / "redis-password"),
            "PKAKEY_SIGNER_SOCKET": str(self.signer_socket),
            "PKAKEY_SECRET_KEY_FILE": str(secrets / "django-secret-key"),
            "PKAKEY_SECRET_KEY_FALLBACKS_FILE": str(secrets / "django-secret-key-fallbacks"),
            "PKAKEY_SECRETS_DIR": str(secrets),
            "PKAKEY_DOMAIN": settings.domain,
            "PKAKEY_HTTPS_PORT": str(settings.https_port),
            "PKAKEY_HTTP_PORT": str(settings.http_port),
            "PKAKEY_STATIC_ROOT": str(settings.home / "static"),
            "PKAKEY_MEDIA_ROOT": str(settings.home / "media"),
            "PKAKEY_GATEWAY_TLS_DIR": str(settings.tls),
            "PKAKEY_LOG_LEVEL": "INFO",
            "PKAKEY_METRICS_DIR": str(self.metrics_folder),
            "PKAKEY_FLOWS_URL": f"http://127.0.0.1:{self.ports.flows}",
            "PKAKEY_FLOWS_SERVICE_KEY_FILE": str(secrets / "koolflows-service-key"),
        }
        if settings.weak_keys_file is not None:
            environment[WEAK_KEYS] = str(settings.weak_keys_file)
        if role == "worker":
            environment |= self._data()
        if is_admin:
            environment |= self._administrator("PKAKEY") | self._administrator("PESEQUEL")
        return environment

    def flows(self, role: str, *, is_admin: bool = False) -> dict[str, str]:
        """Return KoolFlows' environment for a process of this database role."""
        settings = self.settings
        secrets = settings.secrets
        # Where notices of new tasks go is for whoever starts the platform to say.
        notices = {name: os.environ[name] for name in _NOTICES if name in os.environ}
        environment = {
            **self._ours(),
            **notices,
            "DJANGO_SETTINGS_MODULE": "koolflows.config.settings",
            "KOOLFLOWS_DATABASE_URL": database_url(settings, f"koolflows_{role}", FLOWS_DATABASE),
            "KOOLFLOWS_DATABASE_PASSWORD_FILE": str(secrets / f"koolflows-{role}-password"),
            "KOOLFLOWS_SECRET_KEY_FILE": str(secrets / "koolflows-secret-key"),
            "KOOLFLOWS_DOMAIN": settings.domain,
            "KOOLFLOWS_HTTPS_PORT": str(settings.https_port),
            "KOOLFLOWS_TRUSTED_ISSUERS": json.dumps({settings.portal: str(self.flows_keys)}),
            "KOOLFLOWS_PKAKEY_URL": f"http://127.0.0.1:{self.ports.web}",
            "KOOLFLOWS_SERVICE_KEY_FILE": str(secrets / "koolflows-service-key"),
            "KOOLFLOWS_LOG_LEVEL": "INFO",
        }
        if is_admin:
            environment["KOOLFLOWS_SECRETS_DIR"] = str(secrets)
            environment |= self._administrator("KOOLFLOWS")
        return environment

    def _ours(self) -> dict[str, str]:
        # Where traces go, by OpenTelemetry's own variables; they may hold a collector's password.
        traces = {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
        return {**plain(self.settings), **traces}

    def _data(self) -> dict[str, str]:
        """Return what reaches PeSequel: the relay's role, and the command that migrates."""
        secrets = self.settings.secrets
        return {
            "PKAKEY_INVENTORY_DATABASE_URL": database_url(
                self.settings, "inventory_writer", DATA_DATABASE
            ),
            "PKAKEY_INVENTORY_DATABASE_PASSWORD_FILE": str(secrets / "pesequel-relay-password"),
            "PESEQUEL_SECRETS_DIR": str(secrets),
            "PESEQUEL_TOKEN_ISSUERS": self.settings.portal,
        }

    def _administrator(self, prefix: str) -> dict[str, str]:
        """Return how a part's own commands reach the server as an administrator."""
        if not self.is_embedded:
            return {f"{prefix}_ADMIN_DATABASE_URL": self.settings.database_url}
        return {
            f"{prefix}_ADMIN_DATABASE_URL": database_url(
                self.settings, postgresql.SUPERUSER, "postgres"
            ),
            f"{prefix}_ADMIN_DATABASE_PASSWORD_FILE": str(
                self.settings.secrets / "postgres-password"
            ),
        }
