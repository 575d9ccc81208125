"""The metrics process: `python -m pkakey.config.exporter`, at `PKAKEY_METRICS_LISTEN`.

Shows what the processes counted into `PKAKEY_METRICS_DIR`, if that is given, and what the database,
the signer, the queue and the gateway say. Imports no Django.
"""

import signal
import sys
import threading
from wsgiref.simple_server import make_server

from pkakey_signers.client import SignerClient
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from psycopg.conninfo import make_conninfo
from redis import Redis

from pkakey.config.env import Env
from pkakey.config.logs import configure_logs
from pkakey.config.metrics import QuietHandler, SharedServer
from pkakey.config.queue import QUEUE
from pkakey.fronts.metrics.app import MetricsApplication, gateway_figures
from pkakey.fronts.metrics.collectors import (
    BackupPart,
    DatabasePart,
    Part,
    PlatformCollector,
    QueuePart,
    SignerPart,
)
from pkakey.fronts.metrics.database import FiguresDatabase

STREAM = "theddt.events"
_ANSWER_SECONDS = 5.0


def application(env: Env) -> MetricsApplication:
    """Return the application for this environment."""
    password = env.database_password_file
    database = (
        env.database_url
        if password is None
        else make_conninfo(env.database_url, password=password.read_text().strip())
    )
    parts: list[Part] = [
        DatabasePart(FiguresDatabase(database)),
        SignerPart(SignerClient(env.signer_socket, timeout_seconds=_ANSWER_SECONDS, pool_size=1)),
        QueuePart(
            Redis.from_url(
                env.redis_url_with_password,
                socket_timeout=_ANSWER_SECONDS,
                socket_connect_timeout=_ANSWER_SECONDS,
            ),
            name=QUEUE,
            stream=STREAM,
        ),
    ]
    if env.backup_dir is not None:
        parts.append(BackupPart(env.backup_dir))
    registry = CollectorRegistry()
    registry.register(PlatformCollector(parts))
    if env.metrics_dir is not None:
        env.metrics_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        MultiProcessCollector(registry, str(env.metrics_dir))  # type: ignore[no-untyped-call]
    if env.metrics_gateway_url is None:
        return MetricsApplication(registry)
    return MetricsApplication(registry, gateway=gateway_figures(env.metrics_gateway_url))


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    env = Env.load()
    configure_logs(env.log_level)
    if env.metrics_listen is None:
        sys.stderr.write("Set PKAKEY_METRICS_LISTEN to HOST:PORT, such as 127.0.0.1:9464.\n")
        return 2
    host, port = env.metrics_address
    server = make_server(host, port, application(env), SharedServer, QuietHandler)

    def stop(*_: object) -> None:
        # `shutdown` waits for the loop, which runs in this very thread.
        threading.Thread(target=server.shutdown).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    server.serve_forever()
    server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
