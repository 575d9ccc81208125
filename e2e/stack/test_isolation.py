"""Who reaches whom, tried from inside each container's own network: design.md section 2."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.stack.stack import Stack

# The contract, written by hand: a service belongs to these networks and to no other.
NETWORKS = {
    "quewall_traefik": {"web", "backend"},
    "quewall_docker_proxy": {"web"},
    "quewall_keycloak": {"backend", "quewall_net"},
    "quewall_oauth2_proxy": {"backend", "quewall_net"},
    "quewall_postgres": {"quewall_net"},
    "pesequel_postgres": {"pesequel_net"},
    "pesequel_pgbouncer": {"backend", "pesequel_net"},
    "pesequel_postgrest": {"backend", "pesequel_net"},
    "pesequel_pgadmin": {"backend", "pesequel_net"},
    "pesequel_keys": {"backend", "pesequel_net"},
    "pkakey_postgres": {"pkakey_net"},
    "pkakey_redis": {"pkakey_net", "quewall_net"},
    "pkakey_signer": {"pkakey_net"},
    "pkakey_django": {"backend", "pkakey_net"},
    "pkakey_status": {"backend", "pkakey_net"},
    "pkakey_celery_worker": {"backend", "pkakey_net"},
    "pkakey_celery_beat": {"pkakey_net"},
    "koolflows": {"backend"},
    "koolflows_worker": {"backend"},
    "pkakey_metrics": {"pkakey_net"},
    "monitoring_prometheus": {"backend", "pkakey_net"},
}
PORTS = {
    "quewall_traefik": 8082,
    "quewall_docker_proxy": 2375,
    "quewall_keycloak": 8080,
    "quewall_oauth2_proxy": 4180,
    "quewall_postgres": 5432,
    "pesequel_postgres": 5432,
    "pesequel_pgbouncer": 5432,
    "pesequel_postgrest": 3000,
    "pesequel_pgadmin": 5050,
    "pkakey_postgres": 5432,
    "pkakey_redis": 6379,
    "pkakey_django": 8000,
    "pkakey_status": 8000,
    "koolflows": 8000,
    "pkakey_metrics": 9464,
    "monitoring_prometheus": 9090,
}
# An address of nobody (RFC 5737): a packet to it that is answered, even by a refusal, got out.
OUTSIDE = ("192.0.2.1", 443)
PROBE = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def reach(target):
    name, address, port = target
    try:
        socket.create_connection((address, port), timeout=5).close()
        return name, "open"
    except TimeoutError:
        return name, "silent"
    except OSError as error:
        return name, f"errno {error.errno}"
targets = json.load(sys.stdin)
with ThreadPoolExecutor(32) as pool:
    print(json.dumps(list(pool.map(reach, targets))))
"""


@pytest.fixture(scope="module")
def found(stack: Stack) -> dict[str, dict[str, bool]]:
    """Who reached whom; every address of the other is tried, known or not."""
    containers = stack.containers()
    targets = [
        (f"{name} {network}", address, PORTS[name])
        for name in PORTS
        for network, address in containers[name].addresses.items()
    ]

    def reach(source: str) -> dict[str, bool]:
        # The container's own network, with a program that can try: not every image has one.
        done = subprocess.run(
            [
                "docker", "run", "--rm", "--interactive", "--network",
                f"container:{containers[source].id}", "--entrypoint", "python",
                "theddt/pesequel:0.1.0", "-c", PROBE,
            ],
            input=json.dumps([*targets, ("outside", *OUTSIDE)]), check=True, capture_output=True,
            text=True, timeout=120,
        )  # fmt: skip
        answers = json.loads(done.stdout)
        row = {
            name: any(said == "open" for whom, said in answers if whom.split()[0] == name)
            for name in PORTS
        }
        return row | {"a way out": dict(answers)["outside"] not in {"silent", "errno 101"}}

    # Most of the time is waiting for answers that do not come.
    with ThreadPoolExecutor(6) as pool:
        return dict(zip(NETWORKS, pool.map(reach, NETWORKS), strict=True))


def test_every_container_is_in_its_networks_and_in_no_other(stack: Stack) -> None:
    containers = stack.containers()
    running = {name for name, container in containers.items() if container.is_running}
    assert running == set(NETWORKS)
    for name, networks in NETWORKS.items():
        assert set(containers[name].addresses) == networks, name


def test_each_reaches_whom_it_shares_a_network_with_and_nobody_else(
    found: dict[str, dict[str, bool]],
) -> None:
    wrong = [
        f"{source} {'reaches' if reaches else 'does not reach'} {target}"
        for source, row in found.items()
        for target, reaches in row.items()
        if target in PORTS
        if reaches != (source == target or bool(NETWORKS[source] & NETWORKS[target]))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("pkakey_django", "quewall_postgres"),
        ("pkakey_django", "pesequel_postgres"),
        ("pkakey_django", "quewall_docker_proxy"),
        ("pkakey_signer", "quewall_keycloak"),
        ("pkakey_signer", "quewall_traefik"),
        ("koolflows", "pkakey_postgres"),
        ("koolflows", "pkakey_redis"),
        ("koolflows", "pesequel_postgres"),
        ("pesequel_postgrest", "pkakey_postgres"),
        ("pesequel_pgadmin", "pkakey_postgres"),
        ("pesequel_pgadmin", "quewall_postgres"),
        ("quewall_keycloak", "pkakey_postgres"),
        ("quewall_keycloak", "pesequel_postgres"),
        ("quewall_traefik", "pkakey_postgres"),
        ("quewall_traefik", "pkakey_redis"),
        ("quewall_oauth2_proxy", "pkakey_postgres"),
        ("quewall_docker_proxy", "pkakey_django"),
        ("monitoring_prometheus", "quewall_docker_proxy"),
        ("monitoring_prometheus", "quewall_postgres"),
        ("monitoring_prometheus", "pesequel_postgres"),
    ],
)
def test_a_pair_that_must_not_meet_does_not(
    found: dict[str, dict[str, bool]], source: str, target: str
) -> None:
    assert not found[source][target]


def test_only_the_gateways_network_has_a_way_out(
    stack: Stack, found: dict[str, dict[str, bool]]
) -> None:
    config = json.loads(stack.compose("--profile", "*", "config", "--format", "json"))
    open_networks = {name for name, net in config["networks"].items() if not net.get("internal")}
    assert open_networks == {"web"}
    got_out = {name for name, row in found.items() if row["a way out"]}
    assert got_out <= {"quewall_traefik", "quewall_docker_proxy"}


def test_only_the_signer_sees_the_keystore(stack: Stack) -> None:
    config = json.loads(stack.compose("--profile", "*", "config", "--format", "json"))
    for volume, allowed in {
        "pkakey_keystore": {"pkakey_signer"},
        "keycloak_postgres_data": {"quewall_postgres"},
        "pkakey_postgres_data": {"pkakey_postgres"},
        "pesequel_postgres_data": {"pesequel_postgres"},
    }.items():
        mounted = {
            name
            for name, service in config["services"].items()
            if any(mount["source"] == volume for mount in service.get("volumes", []))
        }
        assert mounted == allowed, volume
