"""The fixtures of the swarm's tests; `make swarm-test` makes the images first."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.stack.conftest import TIMES, keycloak, prepare, program, pytest_terminal_summary
from e2e.swarm.swarm import NAME, Swarm, docker

__all__ = ["keycloak", "program", "pytest_terminal_summary", "stack"]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    """The stack, deployed and well, from empty volumes; nothing of it is left afterwards.

    The engine is made a swarm, and is none afterwards unless it was one before. DDT_STACK_FOLDER
    names a project whose stack is deployed already and stays so: for writing tests.
    """
    if there := os.environ.get("DDT_STACK_FOLDER"):
        yield Swarm(Path(there))
        return
    folder = tmp_path_factory.mktemp("theddt")
    prepare(folder)
    file = folder / ".env"
    # A choice that whoever deploys has to make: Swarm publishes on every address.
    file.write_text(f"{file.read_text()}\nBIND_ADDRESS=0.0.0.0\n")
    was_swarm = docker("info", "--format", "{{.Swarm.LocalNodeState}}").strip() == "active"
    assert not docker("ps", "--quiet", "--filter", f"name={NAME}"), "A stack of theDDT is up."
    if not was_swarm:
        docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    node = docker("info", "--format", "{{.Swarm.NodeID}}").strip()
    docker("node", "update", "--label-add", "theddt.state=true", node)
    stack = Swarm(folder)
    begin = time.monotonic()
    try:
        stack.up()
        TIMES.append(f"The swarm's stack was well after {time.monotonic() - begin:.0f} s.")
        yield stack
    finally:
        if log := os.environ.get("DDT_STACK_LOG"):
            Path(log).write_text(everything_said(stack))
        remove()
        if not was_swarm:
            docker("swarm", "leave", "--force")


def everything_said(stack: Swarm) -> str:
    """Return the logs of every service, and what became of its tasks."""
    names = docker("service", "ls", "--quiet").split()
    parts = [docker("stack", "ps", "--no-trunc", NAME, check=False)]
    parts += [docker("service", "logs", "--raw", name, check=False) for name in names]
    return "\n".join(parts)


def remove() -> None:
    """Remove the stack with its volumes."""
    docker("stack", "rm", NAME, check=False)
    end = time.monotonic() + 90
    while docker("ps", "--all", "--quiet", "--filter", f"name={NAME}_") and time.monotonic() < end:
        time.sleep(1)
    volumes = docker("volume", "ls", "--quiet", "--filter", f"name={NAME}_").split()
    if volumes:
        docker("volume", "rm", "--force", *volumes, check=False)
