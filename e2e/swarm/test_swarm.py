"""Two of web and worker, one signer: who answers, what is lost when one dies, who meets whom."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page

from bench.requests import csr_pem
from deploy.swarm.__main__ import resolved
from deploy.swarm.stack import translate
from e2e.stack.conftest import prepare
from e2e.stack.keycloak import Keycloak
from e2e.stack.program import Load, Program, compare_signer_log
from e2e.stack.stack import ROOT, environment, eventually
from e2e.stack.test_certificates import crl, files, verify
from e2e.stack.test_isolation import PORTS, PROBE
from e2e.stack.test_sign_in import at_keycloak, browser, go, page
from e2e.swarm.swarm import NAME, Swarm, docker
from tests.test_swarm_stack import resolved as by_hand

__all__ = ["browser", "page"]
# The first one waits for the whole stack.
pytestmark = pytest.mark.timeout(600)
CERTIFICATES = "/api/v1/certificates/"


def test_the_deployed_stack_is_the_one_that_the_tests_without_an_engine_look_at(
    stack: Swarm,
) -> None:
    config = resolved(stack.folder, ["monitoring"])
    ours = by_hand(stack.folder, {**stack.settings, **os.environ})
    assert config["services"].keys() == ours["services"].keys()
    made, expected = (translate(each, stack.folder) for each in (config, ours))
    for name, service in made["services"].items():
        wanted = expected["services"][name]
        # Ports, durations and sums of memory are written in other words.
        for key in service.keys() - {
            "environment",
            "ports",
            "deploy",
            "healthcheck",
            "volumes",
            "stop_grace_period",
        }:
            assert service[key] == wanted[key], (name, key)
        assert service.get("environment", {}).keys() == wanted.get("environment", {}).keys()
        for key in ("labels", "placement", "replicas", "restart_policy"):
            left, right = (each["deploy"].get(key) for each in (service, wanted))
            assert (left or {}).keys() == (right or {}).keys() if key == "labels" else left == right
    assert made["networks"].keys() == expected["networks"].keys()
    assert made["secrets"] == expected["secrets"]


def test_without_a_word_about_the_address_nothing_is_written(tmp_path: Path) -> None:
    prepare(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "deploy.swarm", "--project", str(tmp_path)],
        cwd=ROOT, env=environment(), check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "set BIND_ADDRESS=0.0.0.0" in done.stderr


def test_openssl_sees_a_certificate_go_from_good_to_revoked(
    stack: Swarm, program: Program, tmp_path: Path
) -> None:
    issued = program.issue("swarm.example.test")
    certificate, chain = files(issued, tmp_path)
    assert verify(stack, certificate, chain, crl(stack, certificate, tmp_path)) == (
        f"{certificate}: OK\n"
    )
    assert ": good" in program.ocsp(issued, tmp_path)
    program.revoke(issued["serial_number"], "keyCompromise")
    assert ": revoked" in program.ocsp(issued, tmp_path)
    after = crl(stack, certificate, tmp_path)
    assert "certificate revoked" in verify(stack, certificate, chain, after)


def answering(stack: Swarm, program: Program) -> dict[str, int]:
    """Return how many of thirty requests each container of the web service answered."""
    run = uuid.uuid4().hex[:12]
    for number in range(30):
        headers = {"Authorization": f"Bearer {program.token}", "X-Request-ID": f"{run}-{number}"}
        assert stack.ask("pkakey", CERTIFICATES, headers=headers).status_code == 200
    return {name: logs(name).count(f'"{run}-') for name in stack.running("pkakey_django")}


def logs(name: str, of: tuple[str, ...] = ("logs",)) -> str:
    """Return what a container, or all of a service's, printed on both of its outputs."""
    done = subprocess.run(
        ["docker", *of, name], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout + done.stderr


def test_both_of_web_answer_and_both_workers_work(stack: Swarm, program: Program) -> None:
    counts = answering(stack, program)
    assert len(counts) == 2
    assert min(counts.values()) > 0, counts
    assert sum(counts.values()) == 30
    workers = stack.running("pkakey_celery_worker")
    assert len(workers) == 2
    eventually(
        lambda: all(" succeeded in " in logs(worker) for worker in workers), "both did tasks", 60
    )


def asked_until_told(program: Program, name: str) -> str:
    """Ask for a certificate, again with the same key as long as no answer tells; its number."""
    body = {"csr": csr_pem(name), "profile": "tls-server"}
    headers = {"Authorization": f"Bearer {program.token}", "Idempotency-Key": str(uuid.uuid4())}
    told: list[str] = []

    def is_told() -> bool:
        try:
            answer = program.stack.ask(
                "pkakey", CERTIFICATES, method="POST", headers=headers, json=body
            )
        except httpx.HTTPError:
            return False
        if answer.status_code == 201:
            told.append(answer.json()["serial_number"])
        return bool(told)

    eventually(is_told, f"{name} is issued", 60)
    return told[0]


def test_a_replica_that_dies_under_load_loses_nothing_and_comes_back(
    stack: Swarm, program: Program
) -> None:
    listed = set(program.serials())
    before = stack.running("pkakey_django")
    with Load(program, "killed") as load:
        eventually(lambda: len(load.told) > 2, "certificates are issued", 60)
        docker("kill", before[0])
        retried = [asked_until_told(program, f"again-{n}.example.test") for n in range(5)]
        eventually(lambda: len(stack.running("pkakey_django")) == 2, "there are two again", 60)
        told = len(load.told)
        eventually(lambda: len(load.told) > told + 5, "certificates are issued", 60)
    stack.settle()
    assert before[0] not in stack.running("pkakey_django")
    assert set(load.refused) <= {502, 503, 504}
    found = set(program.serials())
    assert listed | set(load.told) | set(retried) <= found
    # Beyond what was told, only what no answer came for; the key kept the rest from twins.
    assert len(found - listed - set(load.told) - set(retried)) <= load.unanswered
    assert len(set(retried)) == 5
    assert min(answering(stack, program).values()) > 0


def test_the_signer_dies_and_issuing_goes_on(stack: Swarm, program: Program) -> None:
    listed = set(program.serials())
    (before,) = stack.running("pkakey_signer")
    with Load(program, "no-signer") as load:
        eventually(lambda: len(load.told) > 1, "certificates are issued", 60)
        docker("kill", before)
        eventually(
            lambda: stack.running("pkakey_signer") not in ([], [before]), "it is there again", 60
        )
        told = len(load.told)
        eventually(lambda: len(load.told) > told + 2, "certificates are issued again", 60)
    assert set(load.refused) <= {502, 503, 504}
    assert listed | set(load.told) <= set(program.serials())
    stack.settle()


def test_a_second_signer_ends_at_once_and_the_first_goes_on(stack: Swarm, program: Program) -> None:
    (first,) = stack.running("pkakey_signer")
    stack.scale("pkakey_signer", 2)
    try:
        refused = "Another signer writes the log"
        of = f"{NAME}_pkakey_signer"
        eventually(lambda: refused in logs(of, ("service", "logs")), "the second is refused", 90)
        assert program.issue("two-signers.example.test")["serial_number"]
    finally:
        stack.scale("pkakey_signer", 1)
    stack.settle()
    assert stack.running("pkakey_signer") == [first]


def test_web_goes_to_three_and_back(stack: Swarm, program: Program) -> None:
    stack.scale("pkakey_django", 3)
    stack.settle()
    # Until the gateway has asked the engine again, it does not know the third.
    eventually(lambda: min(answering(stack, program).values()) > 0, "all three answer", 60)
    assert len(stack.running("pkakey_django")) == 3
    with Load(program, "scaled") as load:
        eventually(lambda: len(load.told) > 1, "certificates are issued", 60)
        stack.scale("pkakey_django", 2)
        eventually(lambda: len(stack.running("pkakey_django")) == 2, "there are two again", 90)
        told = len(load.told)
        eventually(lambda: len(load.told) > told + 2, "certificates are issued", 60)
    assert set(load.refused) <= {502, 503, 504}
    assert set(load.told) <= set(program.serials())
    stack.settle()


def reached(stack: Swarm, source: str, targets: tuple[str, ...]) -> dict[str, bool]:
    """Return whom a container reaches, tried from its network, at each address of the other's."""
    addresses = [
        (target, address, PORTS[target])
        for target in targets
        for address in stack.addresses(target).values()
    ]
    printed = docker(
        "run", "--rm", "--interactive", "--network", f"container:{stack.running(source)[0]}",
        "--entrypoint", "python", "theddt/pesequel:0.1.0", "-c", PROBE,
        given=json.dumps(addresses),
    )  # fmt: skip
    answers = json.loads(printed)
    opened = {target for target, said in answers if said == "open"}
    return {name: name in opened for name in targets}


@pytest.mark.parametrize(
    ("source", "meets", "does_not_meet"),
    [
        ("pesequel_postgrest", ("pesequel_postgres",), ("pkakey_postgres", "pkakey_redis")),
        ("pkakey_signer", ("pkakey_postgres",), ("quewall_traefik", "pesequel_pgbouncer")),
        ("koolflows", ("pkakey_django",), ("pkakey_postgres", "pesequel_postgres")),
        # Who believes the gateway meets it on a network of the two, and here is a third.
        ("pkakey_django", ("quewall_keycloak",), ("quewall_oauth2_proxy", "pesequel_pgadmin")),
        ("quewall_oauth2_proxy", ("quewall_keycloak",), ("pkakey_django", "quewall_docker_proxy")),
        # The gateway has a way out, and what is out there may answer for any address.
        ("quewall_traefik", ("quewall_oauth2_proxy", "pesequel_pgadmin"), ()),
    ],
)
def test_who_shares_no_network_does_not_meet(
    stack: Swarm, source: str, meets: tuple[str, ...], does_not_meet: tuple[str, ...]
) -> None:
    found = reached(stack, source, meets + does_not_meet)
    assert found == dict.fromkeys(meets, True) | dict.fromkeys(does_not_meet, False)


@pytest.mark.browser
def test_the_gateway_is_believed_who_signed_in(
    stack: Swarm, keycloak: Keycloak, page: Page
) -> None:
    keycloak.person("dora", "/database-admins", namespace="default")
    page.goto(stack.address("pgadmin"))
    at_keycloak(page, "dora")
    page.wait_for_url(stack.address("pgadmin", "/browser/**"))
    assert go(page, stack.address("", "/dashboard/")).status == 403


def test_a_secret_is_changed_by_another_deployment(stack: Swarm, program: Program) -> None:
    name = "pkakey-web-password"
    file = stack.folder / stack.settings["SECRETS_DIR"] / name
    before = set(docker("secret", "ls", "--format", "{{.Name}}").split())
    file.chmod(0o600)
    file.write_text(uuid.uuid4().hex)
    web, signer = stack.running("pkakey_django"), stack.running("pkakey_signer")
    stack.deploy()
    eventually(lambda: not set(web) & set(stack.running("pkakey_django")), "web is replaced", 120)
    stack.settle()
    (made,) = set(docker("secret", "ls", "--format", "{{.Name}}").split()) - before
    assert made.startswith(f"{NAME}_{name}_")
    for container in stack.running("pkakey_django"):
        assert docker("exec", container, "cat", f"/run/secrets/{name}") == file.read_text()
    eventually(lambda: stack.ask("pkakey", "/readyz").status_code == 200, "web is ready", 60)
    assert program.issue("rotated.example.test")["serial_number"] in program.serials()
    # Who does not have the secret was not touched.
    assert stack.running("pkakey_signer") == signer


def test_after_all_that_every_signature_has_its_record(stack: Swarm) -> None:
    eventually(
        lambda: "signed certificates have a record" in compare_signer_log(stack),
        "every signature has its record",
        60,
    )


def left_of_stack() -> dict[str, str]:
    """Return what the engine has of the stack, by kind."""
    of = ("--quiet", "--filter", f"label=com.docker.stack.namespace={NAME}")
    kinds = ("service", "network", "secret", "config")
    found = {kind: docker(kind, "ls", *of) for kind in kinds}
    return {kind: ids for kind, ids in (found | {"ps": docker("ps", "--all", *of)}).items() if ids}


def test_removing_the_stack_leaves_its_volumes_and_nothing_else(stack: Swarm) -> None:
    docker("stack", "rm", NAME)
    eventually(lambda: left_of_stack() == {}, "nothing of the stack is left", 120)
    volumes = docker("volume", "ls", "--quiet", "--filter", f"name={NAME}_").split()
    assert {f"{NAME}_pkakey_keystore", f"{NAME}_pkakey_postgres_data"} <= set(volumes)
