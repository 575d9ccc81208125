"""The loopback ports of the running platform's parts, and where they are remembered."""

import json
import socket
from dataclasses import asdict, dataclass, fields

from ddt.errors import TroubleError
from ddt.settings import Settings

_FILE = "ports.json"


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
    flows: int

    @classmethod
    def free(cls) -> "Ports":
        """Return ports that nobody listens on at this moment."""
        return cls(**{field.name: _free_port() for field in fields(cls)})

    def remember(self, settings: Settings) -> None:
        """Write them down for `ddt manage` and the like, which speak to the running servers."""
        (settings.runtime / _FILE).write_text(json.dumps(asdict(self)), encoding="ascii")


def remembered(settings: Settings) -> Ports | None:
    """Return the ports of the last start; None when there are none of this release."""
    try:
        return Ports(**json.loads((settings.runtime / _FILE).read_text(encoding="ascii")))
    except (OSError, ValueError, TypeError):
        return None


def of_running(settings: Settings) -> Ports:
    """Return the running platform's ports; raises TroubleError when nothing runs."""
    ports = remembered(settings)
    if ports is None:
        raise TroubleError("The platform does not run. Start it with 'ddt up'.")
    return ports


def metrics_url(settings: Settings) -> str | None:
    """Return where the running platform shows its figures; None when it does not run."""
    ports = remembered(settings)
    return None if ports is None else f"http://127.0.0.1:{ports.metrics}/metrics"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
