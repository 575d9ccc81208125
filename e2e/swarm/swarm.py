"""The stack that deploy/swarm makes of docker-compose.yml, on the engine here as a swarm of one."""

import json
import socketserver
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.swarm.__main__ import resolved
from deploy.swarm.stack import PREPARATION, Choices, translate
from e2e.stack.stack import Stack

NAME = "theddt"
JOBS = (
    "pkakey_migrate", "pkakey_bootstrap", "pesequel_migrate", "koolflows_migrate", PREPARATION,
)  # fmt: skip
_RELAY = "exec 3<>/dev/tcp/127.0.0.1/8080; cat <&3 & exec cat >&3"


def docker(*words: str, check: bool = True, given: str | None = None, seconds: float = 120) -> str:
    """Run docker and return what it printed."""
    done = subprocess.run(
        ["docker", *words], check=False, capture_output=True, text=True, timeout=seconds,
        input=given,
    )  # fmt: skip
    assert done.returncode == 0 or not check, f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@dataclass(frozen=True)
class Swarm(Stack):
    """A project folder that is deployed as a stack; asked as the stack of compose is."""

    relays: dict[str, str] = field(default_factory=dict)

    def deploy(self, replicas: Mapping[str, int] = {}) -> None:
        """Deploy what the folder has now; wait for nothing."""
        file = self.folder / "stack.json"
        config = resolved(self.folder, [])
        file.write_text(json.dumps(translate(config, self.folder, Choices(replicas=replicas))))
        docker(
            "stack", "deploy", "--resolve-image", "never", "--prune", "--compose-file", str(file),
            NAME,
        )  # fmt: skip

    def up(self) -> None:
        """Deploy and wait until everything is well."""
        self.deploy()
        self.settle(480)

    def settle(self, seconds: float = 180) -> None:
        """Wait until every service has its replicas and every job has ended well."""
        end = time.monotonic() + seconds
        while unwell := self.unwell():
            assert time.monotonic() < end, f"not well within {seconds:.0f} s: {', '.join(unwell)}"
            time.sleep(1)

    def unwell(self) -> list[str]:
        """Return the services that have fewer replicas than they should, and jobs that go on."""
        found = []
        lines = docker("service", "ls", "--format", "{{.Name}} {{.Replicas}}").splitlines()
        for line in lines:
            name, numbers = line.removeprefix(f"{NAME}_").split()[:2]
            running, _, wanted = numbers.partition("/")
            if name in JOBS:
                if self.newest(name) != "Complete":
                    found.append(name)
            elif running != wanted:
                found.append(f"{name} {numbers}")
        return found or ([] if lines else ["nothing is deployed"])

    def newest(self, service: str) -> str:
        """Return the first word of what the newest task of a service is doing."""
        shown = docker("service", "ps", "--format", "{{.CurrentState}}", f"{NAME}_{service}")
        return shown.split(" ")[0]

    def inside(
        self, service: str, *words: str, check: bool = True, given: str | None = None
    ) -> str:
        """Run a program in the first of a service's containers."""
        container = self.running(service)[0]
        return docker("exec", "--interactive", container, *words, check=check, given=given or "")

    def running(self, service: str) -> list[str]:
        """Return the ids of a service's running containers."""
        of = f"label=com.docker.swarm.service.name={NAME}_{service}"
        return docker("ps", "--quiet", "--no-trunc", "--filter", of).split()

    def scale(self, service: str, number: int) -> None:
        """Ask the engine for so many of a service; wait for nothing."""
        docker("service", "scale", "--detach", f"{NAME}_{service}={number}")

    def addresses(self, service: str) -> dict[str, str]:
        """Return the address of a service's first container in each network."""
        (entry,) = json.loads(docker("inspect", self.running(service)[0]))
        networks: dict[str, Any] = entry["NetworkSettings"]["Networks"]
        return {name: network["IPAddress"] for name, network in networks.items()}

    def inner(self, service: str, network: str = "backend") -> str:  # noqa: ARG002
        """Return an address of this machine where Keycloak's port 8080 answers.

        No address of an overlay network is reached from outside; each connection is handed into
        the container by `docker exec`.
        """
        assert service == "quewall_keycloak"
        if service not in self.relays:
            self.relays[service] = "127.0.0.9"
            relay = socketserver.ThreadingTCPServer(
                (self.relays[service], 8080), _handler(self, service), bind_and_activate=True
            )
            relay.daemon_threads = True
            threading.Thread(target=relay.serve_forever, daemon=True).start()
        return self.relays[service]


def _handler(swarm: Swarm, service: str) -> type[socketserver.BaseRequestHandler]:
    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            words = ["docker", "exec", "--interactive", swarm.running(service)[0], "bash", "-c"]
            subprocess.run(
                [*words, _RELAY], check=False, stdin=self.request, stdout=self.request, timeout=60
            )

    return Relay
