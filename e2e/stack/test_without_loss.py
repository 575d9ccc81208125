"""Every container dies in turn, and the whole goes down and up: nothing that was told is lost.

The last of the stack's tests: they break its parts.
"""

import json
import subprocess
import time
from pathlib import Path

import pytest

from e2e.stack.conftest import TIMES
from e2e.stack.program import Load, Program, compare_signer_log
from e2e.stack.stack import Container, Stack, eventually
from e2e.stack.test_isolation import NETWORKS

TOLD: list[str] = []
"""Every serial number that this module's clients were told."""


def crash(container: Container) -> None:
    """End the first process as the kernel would; `docker kill` is an order to stay away."""
    subprocess.run(
        [
            "docker", "run", "--rm", "--pid", "host", "--user", "0", "--entrypoint", "python",
            "theddt/pesequel:0.1.0", "-c", f"import os; os.kill({container.pid}, 9)",
        ],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip


def passes_its_check(stack: Stack, service: str) -> bool:
    """Run the service's own health check now; the engine does so only every now and then."""
    (row,) = json.loads(
        subprocess.run(
            ["docker", "inspect", stack.containers()[service].id],
            check=True, capture_output=True, timeout=60,
        ).stdout
    )  # fmt: skip
    kind, *words = (row["Config"].get("Healthcheck") or {"Test": ["NONE"]})["Test"]
    if kind == "NONE":
        return True
    words = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
    done = subprocess.run(
        ["docker", "exec", row["Id"], *words], check=False, capture_output=True, timeout=60
    )
    return done.returncode == 0


@pytest.mark.parametrize("service", sorted(NETWORKS))
def test_a_container_that_dies_comes_back_and_nothing_is_lost(
    stack: Stack, program: Program, service: str, tmp_path: Path
) -> None:
    before = stack.containers()[service]
    kept = program.issue(f"before-{service.replace('_', '-')}.example.test")
    listed = set(program.serials())
    with Load(program, service.replace("_", "-")) as load:
        crash(before)

        def is_back() -> bool:
            now = stack.containers()[service]
            return now.is_running and now.restarts > before.restarts

        eventually(is_back, f"{service} is started again", 60)
        eventually(lambda: passes_its_check(stack, service), f"{service} is well again", 120)
        told = len(load.told)
        eventually(lambda: len(load.told) > told + 1, "certificates are issued again", 120)
    TOLD.extend([kept["serial_number"], *load.told])
    found = set(program.serials())
    # Whatever was told is there; beyond it, only what no answer came for.
    assert listed | set(load.told) <= found
    assert len(found - listed - set(load.told)) <= load.unanswered
    eventually(lambda: ": good" in program.ocsp(kept, tmp_path), "OCSP answers as before", 60)


def test_after_all_that_every_service_is_well_and_every_signature_has_its_record(
    stack: Stack, program: Program
) -> None:
    eventually(lambda: not stack.unwell(), "every service is well", 180)
    # Once it was healthy and answered a sign-in with 400 after those deaths; why is not known.
    eventually(program.keycloak.answers, "Keycloak signs people in", 60)
    eventually(
        lambda: "signed certificates have a record" in compare_signer_log(stack),
        "every signature has its record",
        60,
    )
    eventually(
        lambda: set(TOLD) <= program.inventory(), "the data API tells of every certificate", 120
    )


def test_down_and_up_again_finds_everything(stack: Stack, program: Program, tmp_path: Path) -> None:
    kept = program.issue("before-down.example.test")
    ended = program.issue("revoked-before-down.example.test")
    program.revoke(ended["serial_number"], "superseded")
    listed = program.serials()
    root, realm = stack.root.read_text(), program.keycloak.admin("GET", "/users").json()
    # The harder way down for some: `docker kill`, after which the engine starts nothing again.
    killed = ("pkakey_django", "pkakey_signer", "pkakey_postgres", "quewall_traefik")
    stack.compose("kill", *killed)
    assert set(killed) <= set(stack.unwell())
    stack.compose("--profile", "*", "down", "--timeout", "30")
    assert stack.containers() == {}
    begin = time.monotonic()
    stack.up()
    TIMES.append(f"Down and up again: healthy after {time.monotonic() - begin:.0f} s.")
    assert stack.unwell() == []
    assert stack.inside("quewall_traefik", "cat", "/etc/traefik/dynamic/root.pem") == root
    # A new token, from the same client: the realm is the same.
    again = Program(stack, program.keycloak, secret=program.secret)
    assert {user["id"] for user in again.keycloak.admin("GET", "/users").json()} == {
        user["id"] for user in realm
    }
    # What was only recorded when a part was killed may be finished since, and is new in the list.
    assert [number for number in again.serials() if number in set(listed)] == listed
    assert set(TOLD) <= set(listed)
    assert ": good" in again.ocsp(kept, tmp_path)
    assert ": revoked" in again.ocsp(ended, tmp_path)
    eventually(lambda: set(listed) <= again.inventory(), "the data API tells of all", 60)
    assert again.issue("after-down.example.test")["serial_number"] not in listed
    assert "signed certificates have a record" in compare_signer_log(stack)
