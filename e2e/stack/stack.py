"""The shipped docker-compose.yml on a real engine, and how the tests reach it."""

import json
import os
import re
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
DOMAIN = "theddt.local"
# What the project's folder has to hold; the compose file itself is not touched.
SHIPPED = (
    "docker-compose.yml", ".env.example", ".dockerignore", "requirements-build.txt", "identity",
    "PKaKey", "PeSequel", "KoolFlows", "QueWall", "bin", "monitoring",
)  # fmt: skip
# What of the profile `monitoring` runs here; Grafana's program is in no package registry.
MONITORING = ("pkakey_metrics", "monitoring_prometheus")


@dataclass(frozen=True)
class Container:
    """One container as the engine describes it."""

    service: str
    id: str
    pid: int
    is_running: bool
    health: str | None
    restarts: int
    addresses: dict[str, str]
    """Its address in each network, by the network's key in docker-compose.yml."""


@dataclass(frozen=True)
class Stack:
    """A project folder whose stack is up."""

    folder: Path

    @cached_property
    def settings(self) -> dict[str, str]:
        """What .env sets."""
        lines = (self.folder / ".env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))

    @property
    def https_port(self) -> int:
        """The gateway's HTTPS port."""
        return int(self.settings.get("HTTPS_PORT", "443"))

    @property
    def http_port(self) -> int:
        """The gateway's HTTP port."""
        return int(self.settings.get("HTTP_PORT", "80"))

    def secret(self, name: str) -> str:
        """Return a secret's value."""
        return (self.folder / self.settings["SECRETS_DIR"] / name).read_text()

    def compose(
        self, *words: str, check: bool = True, seconds: float = 600, given: str | None = None
    ) -> str:
        """Run `docker compose`, with what is given on its input, and return what it printed."""
        done = subprocess.run(
            ["docker", "compose", *words], cwd=self.folder, env=environment(), check=False,
            capture_output=True, text=True, timeout=seconds, input=given,
        )  # fmt: skip
        assert done.returncode == 0 or not check, f"{words}: {done.stdout[-2000:]}{done.stderr}"
        return done.stdout

    def up(self) -> None:
        """Start what is not up and wait until it is healthy; monitoring as well."""
        words = ("up", "--detach", "--wait", "--no-build")
        self.compose(*words)
        self.compose("--profile", "monitoring", *words, *MONITORING)

    def inside(
        self, service: str, *words: str, check: bool = True, given: str | None = None
    ) -> str:
        """Run a program in a running container, with that on its input; return what it printed."""
        return self.compose("exec", "-T", service, *words, check=check, given=given)

    def containers(self) -> dict[str, Container]:
        """Return every container of the project, ended ones too."""
        ids = self.compose("--profile", "*", "ps", "--all", "--quiet").split()
        if not ids:
            return {}
        shown = subprocess.run(
            ["docker", "inspect", *ids], check=True, capture_output=True, text=True, timeout=60
        )
        found = [_container(entry) for entry in json.loads(shown.stdout)]
        return {container.service: container for container in found}

    def inner(self, service: str, network: str = "backend") -> str:
        """Return a container's own address, which the machine that it runs on reaches."""
        return self.containers()[service].addresses[network]

    def unwell(self) -> list[str]:
        """Return the services that are neither healthy nor, without a check, running."""
        return [
            name
            for name, container in self.containers().items()
            if not name.endswith(("_migrate", "_bootstrap"))
            and (not container.is_running or container.health not in {None, "healthy"})
        ]

    @cached_property
    def root(self) -> Path:
        """The file with the root certificate, from the gateway's volume."""
        file = self.folder / "root.pem"
        file.write_text(self.inside("quewall_traefik", "cat", "/etc/traefik/dynamic/root.pem"))
        return file

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.root))

    def _request(self, method: str, address: str, **what: Any) -> httpx.Response:  # noqa: ANN401
        with httpx.Client(verify=self._trust, trust_env=False, timeout=60) as http:
            return http.request(method, address, **what)

    def address(self, name: str, path: str = "/") -> str:
        """Return the public address of a path; the name is what stands before the domain."""
        return f"https://{f'{name}.{DOMAIN}'.lstrip('.')}:{self.https_port}{path}"

    def ask(
        self,
        name: str,
        path: str = "/",
        *,
        method: str = "GET",
        headers: Mapping[str, str | bytes] = {},
        **what: Any,  # noqa: ANN401
    ) -> httpx.Response:
        """Ask through the gateway, by HTTPS, without following redirects."""
        host = f"{name}.{DOMAIN}".lstrip(".")
        return self._request(
            method,
            f"https://127.0.0.1:{self.https_port}{path}",
            headers={"Host": f"{host}:{self.https_port}", **headers},
            extensions={"sni_hostname": host},
            **what,
        )

    def plain(self, path: str, *, host: str = f"pkakey.{DOMAIN}", **what: Any) -> httpx.Response:  # noqa: ANN401
        """Ask through the gateway, by plain HTTP."""
        method = "POST" if "content" in what else "GET"
        headers = {"Host": host, **what.pop("headers", {})}
        address = f"http://127.0.0.1:{self.http_port}{path}"
        return self._request(method, address, headers=headers, **what)


def environment() -> dict[str, str]:
    """Return the environment for compose: nothing of ours overrides what .env says."""
    ours = {"DOMAIN", "SECRETS_DIR", "HTTPS_PORT", "HTTP_PORT", "HTTPS_SUFFIX", "LOG_LEVEL"}
    return {name: value for name, value in os.environ.items() if name not in ours}


def eventually(hold: Callable[[], bool], what: str, seconds: float = 180) -> None:
    """Wait until it holds; fail with the words when it does not in time."""
    end = time.monotonic() + seconds
    while not hold():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(1)


def _container(entry: dict[str, Any]) -> Container:
    state, networks = entry["State"], entry["NetworkSettings"]["Networks"]
    return Container(
        service=entry["Config"]["Labels"]["com.docker.compose.service"],
        id=entry["Id"],
        pid=state["Pid"],
        is_running=state["Running"],
        health=state.get("Health", {}).get("Status"),
        restarts=entry["RestartCount"],
        addresses={
            name.removeprefix("theddt_"): network["IPAddress"]
            for name, network in networks.items()
            if network["IPAddress"]
        },
    )
