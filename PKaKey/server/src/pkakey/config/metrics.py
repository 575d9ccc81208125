"""Where this process keeps its figures, and where it shows them (docs/monitoring.md).

Several processes of a service count into files of one folder, which are added up when somebody
asks. Each takes the first free place there and leaves its figures to the next one in that place,
so that a process that is started anew neither loses counts nor adds files without end.
"""

import fcntl
import logging
import os
import threading
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app, values
from prometheus_client.multiprocess import MultiProcessCollector

from pkakey.config.env import Env

logger = logging.getLogger(__name__)

_PLACES: Final = 256
_FILE_BYTES: Final = 1024 * 1024
_KINDS: Final = ("counter", "histogram", "gauge_mostrecent")


def keep_metrics(env: Env) -> None:
    """Count into the folder of `env.metrics_dir`, if there is one; else into memory only.

    Must run before the modules that define metrics are imported.
    """
    if env.metrics_dir is None:
        return
    try:
        env.metrics_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = _take_place(env.metrics_dir)
        for kind in _KINDS:
            _reserve(env.metrics_dir / f"{kind}_{place}.db")
    except OSError as error:
        # Figures are worth less than what they count.
        logger.warning("Figures are kept in memory only, since their folder is no good: %s", error)
        return
    # Where the library looks for its folder.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(env.metrics_dir)
    values.ValueClass = values.MultiProcessValue(  # type: ignore[no-untyped-call]
        process_identifier=lambda: place
    )


def _take_place(folder: Path) -> int:
    """Return the first place that no living process has, and keep it for this process's life."""
    for place in range(_PLACES):
        descriptor = os.open(folder / f"place-{place}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            return place
    raise RuntimeError(f"{_PLACES} processes count into {folder} already; is it the right folder?")


def _reserve(file: Path) -> None:
    """Give the file its room on the disk now: a full disk must not end a process that counts."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, _FILE_BYTES)
    finally:
        os.close(descriptor)


def serve_metrics(env: Env) -> None:
    """Show the folder's figures at `env.metrics_listen`, from a thread; nothing without one.

    Every process of a service may call this: they share the port, and each shows all figures.
    """
    if env.metrics_listen is None or env.metrics_dir is None or not env.metrics_dir.is_dir():
        return
    host, port = env.metrics_address
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(env.metrics_dir))  # type: ignore[no-untyped-call]
    server = make_server(host, port, make_wsgi_app(registry), SharedServer, QuietHandler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class SharedServer(ThreadingMixIn, WSGIServer):
    """A small server for one asker, at a port that other processes may listen at as well."""

    daemon_threads = True
    allow_reuse_port = True

    def server_bind(self) -> None:
        """Bind without asking for the host's name, which takes long where no name server is."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()


class QuietHandler(WSGIRequestHandler):
    """Gives up on a silent client, and logs no line for each question."""

    timeout = 10

    def log_message(self, *_: object) -> None:
        """Say nothing."""
