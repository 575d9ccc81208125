"""The fixtures of the stack's tests; `make stack-test` makes the images first."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.stack.keycloak import Keycloak
from e2e.stack.program import Program
from e2e.stack.stack import ROOT, SHIPPED, Stack, environment

TIMES: list[str] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what took how long."""
    for line in TIMES:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that is up and healthy, from empty volumes; nothing of it is left afterwards.

    DDT_STACK_FOLDER names a project whose stack is up already and stays so: for writing tests.
    """
    if there := os.environ.get("DDT_STACK_FOLDER"):
        yield Stack(Path(there))
        return
    folder = tmp_path_factory.mktemp("theddt")
    prepare(folder)
    stack = Stack(folder)
    assert not stack.containers(), "A stack of theDDT is up already: stop it."
    begin = time.monotonic()
    try:
        stack.up()
        TIMES.append(f"The stack was healthy after {time.monotonic() - begin:.0f} s.")
        yield stack
    finally:
        if log := os.environ.get("DDT_STACK_LOG"):
            Path(log).write_text(stack.compose("--profile", "*", "logs", "--no-color", check=False))
        stack.compose("--profile", "*", "down", "--volumes", "--timeout", "5", check=False)


def prepare(folder: Path) -> None:
    """Make a project folder as `ddt init --docker` does, on ports that need no rights."""
    for name in SHIPPED:
        if (ROOT / name).exists():
            (folder / name).symlink_to(ROOT / name)
    ports = {"HTTPS_PORT": str(free_port(9443)), "HTTP_PORT": str(free_port(9080))}
    ours = {"DDT_PROJECT": str(folder), **ports}
    ddt = Path(sys.executable).with_name("ddt")
    subprocess.run(
        [ddt, "init", "--docker"], check=True, env=environment() | ours, timeout=60, cwd=folder
    )


def free_port(wanted: int) -> int:
    """Return that port or the next one that nobody listens on: below those of clients."""
    for port in range(wanted, wanted + 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    pytest.fail(f"No port between {wanted} and {wanted + 99} is free.")


@pytest.fixture(scope="session")
def keycloak(stack: Stack) -> Keycloak:
    """Keycloak, as an administrator on this machine reaches it."""
    return Keycloak(stack)


@pytest.fixture(scope="session")
def program(stack: Stack, keycloak: Keycloak) -> Program:
    """An API client that issues and revokes."""
    return Program(stack, keycloak)
