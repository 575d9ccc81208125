"""The Swarm stack is docker-compose.yml; what differs is named, and nothing falls away."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.swarm.stack import (
    LARGEST_FILE,
    LEFT_OUT,
    PREPARATION,
    REPLICAS,
    SCALABLE,
    TRUSTING,
    Choices,
    StackError,
    translate,
)

ROOT = Path(__file__).parents[1]
SHIPPED = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
GATEWAY = "quewall_traefik"


def filled(value: Any, settings: dict[str, str]) -> Any:
    """Fill in variables as compose does, for the forms that the shipped file uses."""
    if isinstance(value, dict):
        return {key: filled(entry, settings) for key, entry in value.items()}
    if isinstance(value, list):
        return [filled(entry, settings) for entry in value]
    if not isinstance(value, str):
        return value
    inmost = re.compile(r"(?<!\$)\$\{([A-Z0-9_]+)(:-|-|:\+|:\?)([^${}]*)\}")
    while found := inmost.search(value):
        name, kind, word = found.groups()
        given = settings.get(name, "")
        filling = {":+": word if given else "", ":?": given}.get(kind, given or word)
        value = value[: found.start()] + filling + value[found.end() :]
    return value


def long_mount(text: str, folder: Path) -> dict[str, Any]:
    source, target, *mode = text.split(":")
    kind = "bind" if source.startswith((".", "/")) else "volume"
    source = str(folder / source) if source.startswith("./") else source
    return {"type": kind, "source": source, "target": target, "read_only": mode == ["ro"]}


def long_port(text: str) -> dict[str, Any]:
    address, published, target = text.split(":")
    return {"host_ip": address, "published": published, "target": int(target)}


def resolved(folder: Path, written: Mapping[str, str] = {}) -> dict[str, Any]:
    """Return the shipped file as `docker compose config` prints it, with every profile.

    `written` is what .env says besides.

    `make swarm-test` compares the stack that comes of this with the one of compose's own answer.
    """
    everywhere = "0.0.0.0"  # noqa: S104  # Nothing listens: it is what Swarm has to be told.
    settings = {**written, "SECRETS_DIR": str(folder / "secrets"), "BIND_ADDRESS": everywhere}
    config: dict[str, Any] = filled(copy.deepcopy(SHIPPED), settings)
    for service in config["services"].values():
        service["volumes"] = [long_mount(text, folder) for text in service.get("volumes", [])]
        service["ports"] = [long_port(text) for text in service.get("ports", [])]
        service["secrets"] = [
            {"source": name, "target": f"/run/secrets/{name}"}
            for name in service.get("secrets", [])
        ]
        networks = service["networks"]
        service["networks"] = dict.fromkeys(networks) if isinstance(networks, list) else networks
        if "shm_size" in service:
            service["shm_size"] = str(int(service["shm_size"].removesuffix("m")) * 2**20)
    for name in config["volumes"]:
        config["volumes"][name] = {"name": f"theddt_{name}"}
    return config


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the shipped files and a secret of each name."""
    for name in ("PeSequel", "QueWall", "monitoring"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "secrets").mkdir()
    for name in SHIPPED["secrets"]:
        (tmp_path / "secrets" / name).write_text(f"the secret {name}")
    return tmp_path


@pytest.fixture
def config(project: Path) -> dict[str, Any]:
    return resolved(project)


@pytest.fixture
def stack(config: dict[str, Any], project: Path) -> dict[str, Any]:
    return translate(config, project)


def test_every_service_is_in_the_stack_and_one_job_beside_them(stack: dict[str, Any]) -> None:
    assert stack["services"].keys() == SHIPPED["services"].keys() | {PREPARATION}


@pytest.mark.parametrize("name", sorted(SHIPPED["services"]))
def test_a_service_has_what_compose_says_of_it(
    config: dict[str, Any], stack: dict[str, Any], name: str
) -> None:
    before, after = config["services"][name], stack["services"][name]
    for key in ("command", "healthcheck", "image", "init", "logging", "read_only", "cap_drop",
                "stop_grace_period", "user"):  # fmt: skip
        assert after.get(key) == before.get(key), key
    assert [use["source"] for use in after.get("secrets", [])] == [
        use["source"] for use in before["secrets"]
    ]
    targets = {mount["target"] for mount in before["volumes"]}
    targets |= {text.partition(":")[0] for text in before.get("tmpfs", [])}
    found = {entry["target"] for entry in after.get("volumes", []) + after.get("configs", [])}
    for target in targets:
        assert target in found or any(path.startswith(f"{target}/") for path in found), target
    labels = after["deploy"].get("labels", {})
    assert before.get("labels", {}).items() <= labels.items()
    assert "labels" not in after  # Of the containers: Traefik would not see them.
    assert after["deploy"].get("resources") == before.get("deploy", {}).get("resources")
    assert after["deploy"]["endpoint_mode"] == "dnsrr"
    assert not after.keys() & LEFT_OUT.keys() - {"command", "entrypoint"}


def test_environments_differ_in_the_gateways_address_and_its_provider_alone(
    config: dict[str, Any], stack: dict[str, Any]
) -> None:
    for name, service in config["services"].items():
        before, after = service.get("environment", {}), stack["services"][name].get("environment")
        changed = {key for key, value in before.items() if (after or {}).get(key) != value}
        if name == GATEWAY:
            assert changed == {key for key in before if key.startswith("TRAEFIK_PROVIDERS_DOCKER_")}
            for key in changed:
                assert after[key.replace("DOCKER", "SWARM")] == before[key]
        elif name in TRUSTING:
            (key,) = changed
            (network,) = stack["networks"][f"gate_{name}"]["ipam"]["config"]
            assert after[key] == before[key].replace("10.213.70.2", network["subnet"])
        else:
            assert changed == set(), name
    shown = str(stack["services"])
    assert not re.search(r"10\.213\.70\.2(?![0-9])", shown)


def test_a_network_of_a_gate_has_the_gateway_and_the_one_who_trusts_it(
    stack: dict[str, Any],
) -> None:
    subnets = set()
    for name in TRUSTING:
        members = {
            service
            for service, entry in stack["services"].items()
            if f"gate_{name}" in entry["networks"]
        }
        assert members == {GATEWAY, name}
        network = stack["networks"][f"gate_{name}"]
        assert network["internal"]
        subnets.add(network["ipam"]["config"][0]["subnet"])
        labels = stack["services"][name]["deploy"]["labels"]
        assert labels["traefik.swarm.network"] == network["name"]
    assert len(subnets) == len(TRUSTING)


def test_who_meets_whom_is_as_in_compose(config: dict[str, Any], stack: dict[str, Any]) -> None:
    for name, service in config["services"].items():
        after = {key for key in stack["services"][name]["networks"] if not key.startswith("gate_")}
        fewer = {"backend"} if name in {"quewall_oauth2_proxy", "pesequel_pgadmin"} else set()
        assert after == service["networks"].keys() - fewer, name
    for name, network in SHIPPED["networks"].items():
        made = stack["networks"][name]
        assert made["driver"] == "overlay"
        assert made.get("internal", False) == network.get("internal", False)
    aliases = config["services"][GATEWAY]["networks"]["backend"]["aliases"]
    assert stack["services"][GATEWAY]["networks"]["backend"]["aliases"] == aliases


def test_every_secret_and_volume_is_there_but_the_one_for_builds(stack: dict[str, Any]) -> None:
    assert stack["secrets"].keys() == SHIPPED["secrets"].keys() - {"extra_ca"}
    assert stack["volumes"].keys() == SHIPPED["volumes"].keys()
    assert {entry["name"] for entry in stack["volumes"].values()} == {
        f"theddt_{name}" for name in SHIPPED["volumes"]
    }


def test_whoever_has_a_volume_stays_where_it_is(stack: dict[str, Any]) -> None:
    for name, service in stack["services"].items():
        volumes = [m for m in service.get("volumes", []) if m["type"] == "volume"]
        where = service["deploy"].get("placement", {}).get("constraints", [])
        assert where == (
            ["node.labels.theddt.state == true"] if volumes
            else ["node.role == manager"] if name == "quewall_docker_proxy"
            else []
        ), name  # fmt: skip


def test_only_whose_user_is_known_has_secrets_of_his_own(stack: dict[str, Any]) -> None:
    for name, service in stack["services"].items():
        for use in service.get("secrets", []):
            owner = service.get("user", "").partition(":")[0]
            assert use["mode"] == (0o400 if owner else 0o444), name
            assert use.get("uid", "") == owner
    assert stack["services"]["pkakey_signer"]["secrets"][0]["uid"] == "10002"


def test_there_are_two_of_web_and_worker_and_one_signer(stack: dict[str, Any]) -> None:
    numbers = {name: entry["deploy"]["replicas"] for name, entry in stack["services"].items()}
    assert {name: number for name, number in numbers.items() if number != 1} == REPLICAS
    assert {"pkakey_django", "pkakey_celery_worker"} <= REPLICAS.keys()
    assert not [name for name in SCALABLE if "postgres" in name and name != "pesequel_postgrest"]


def test_a_job_ends_and_everything_else_is_started_again(stack: dict[str, Any]) -> None:
    jobs = {
        name
        for name, entry in stack["services"].items()
        if entry["deploy"]["restart_policy"]["condition"] == "on-failure"
    }
    assert jobs == {
        "pkakey_migrate", "pkakey_bootstrap", "pesequel_migrate", "koolflows_migrate", PREPARATION,
    }  # fmt: skip
    for entry in stack["services"].values():
        # Stopped before the next is started: of the signer there must never be two.
        assert entry["deploy"]["update_config"]["order"] == "stop-first"


def test_the_job_for_the_volumes_may_change_owners_and_nothing_else(stack: dict[str, Any]) -> None:
    job, gateway = stack["services"][PREPARATION], stack["services"][GATEWAY]
    assert (job["cap_drop"], job["cap_add"], job["read_only"]) == (["ALL"], ["CHOWN"], True)
    assert "secrets" not in job
    assert job["command"] == ["chown", gateway["user"], *(m["target"] for m in job["volumes"])]
    assert {m["source"] for m in job["volumes"]} == {"traefik_acme", "traefik_logs"}
    assert not stack["networks"]["pkakey_net"].keys() & {"attachable"}


def test_a_changed_secret_has_another_name_and_an_unchanged_one_the_same(
    config: dict[str, Any], project: Path, stack: dict[str, Any]
) -> None:
    (project / "secrets" / "redis-password").write_text("another")
    again = translate(config, project)
    changed = {name for name, entry in stack["secrets"].items() if again["secrets"][name] != entry}
    assert changed == {"redis-password"}
    assert again["configs"] == stack["configs"]
    names = [entry["name"] for kind in ("secrets", "configs") for entry in again[kind].values()]
    assert len(set(names)) == len(names)
    assert not [name for name in names if len(name) > 64]  # The engine's limit.


def test_encryption_is_of_every_network(config: dict[str, Any], project: Path) -> None:
    encrypted = translate(config, project, Choices(is_encrypted=True))
    assert {str(n["driver_opts"]) for n in encrypted["networks"].values()} == {"{'encrypted': ''}"}


def test_other_numbers_of_replicas_are_taken(config: dict[str, Any], project: Path) -> None:
    chosen = Choices(replicas={"pkakey_django": 5, "pkakey_celery_worker": 1})
    services = translate(config, project, chosen)["services"]
    assert services["pkakey_django"]["deploy"]["replicas"] == 5
    assert services["pkakey_celery_worker"]["deploy"]["replicas"] == 1


@pytest.mark.parametrize(
    ("replicas", "words"),
    [
        ({"pkakey_signer": 2}, "only one pkakey_signer"),
        ({"pkakey_celery_beat": 2}, "only one pkakey_celery_beat"),
        ({"pkakey_postgres": 2}, "only one pkakey_postgres"),
        ({"quewall_traefik": 2}, "only one quewall_traefik"),
        ({"pkakey_web": 2}, "no service 'pkakey_web'"),
    ],
)
def test_what_there_is_one_of_stays_so(
    config: dict[str, Any], project: Path, replicas: dict[str, int], words: str
) -> None:
    with pytest.raises(StackError, match=words):
        translate(config, project, Choices(replicas=replicas))


@pytest.mark.parametrize("gates", ["10.213.71.0/26", "10.213.71.0/30", "a network", ""])
def test_gates_without_room_are_refused(config: dict[str, Any], project: Path, gates: str) -> None:
    with pytest.raises(StackError, match="networks of /27 are needed"):
        translate(config, project, Choices(gates=gates))


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (None, "redis-password cannot be read"),
        (b"", "redis-password is empty"),
        (b"x" * (LARGEST_FILE + 1), "redis-password has 512001 octets"),
    ],
)
def test_a_secret_that_is_missing_empty_or_too_large_is_named(
    config: dict[str, Any], project: Path, octets: bytes | None, words: str
) -> None:
    file = project / "secrets" / "redis-password"
    file.unlink()
    if octets is not None:
        file.write_bytes(octets)
    with pytest.raises(StackError, match=words):
        translate(config, project)


@pytest.mark.parametrize(
    ("service", "change", "words"),
    [
        ("koolflows", {"privileged": True}, "koolflows: the key 'privileged' is not known"),
        ("koolflows", {"network_mode": "host"}, "'network_mode' is not known"),
        ("koolflows", {"security_opt": ["seccomp:unconfined"]}, "security_opt has more"),
        ("koolflows", {"restart": "always"}, "'restart: always' is not known"),
        ("koolflows", {"deploy": {"mode": "global"}}, "'deploy.mode' is not known"),
        ("koolflows", {"networks": {"backend": {"mac_address": "x"}}}, "'mac_address'"),
        ("koolflows", {"networks": {"backend": {"ipv4_address": "10.213.70.3"}}}, "'ipv4_address'"),
        ("koolflows", {"environment": {"TRUST": "10.213.70.2"}}, "koolflows trusts the gateway"),
        (
            "koolflows",
            {"volumes": [{"type": "bind", "source": "/etc/passwd", "target": "/x"}]},
            "/etc/passwd lies outside",
        ),
        (
            "koolflows",
            {"volumes": [{"type": "bind", "source": "/var/run", "target": "/x"}]},
            "/var/run lies outside",
        ),
        ("koolflows", {"volumes": [{"type": "npipe", "source": "a", "target": "/x"}]}, "'npipe'"),
        (
            GATEWAY,
            {"ports": [{"host_ip": "127.0.0.1", "published": "443", "target": 443}]},
            "Swarm publishes on every address",
        ),
    ],
)
def test_what_has_no_place_in_a_stack_is_refused(
    config: dict[str, Any], project: Path, service: str, change: dict[str, Any], words: str
) -> None:
    config["services"][service] |= change
    with pytest.raises(StackError, match=re.escape(words)):
        translate(config, project)


def test_a_mounted_file_that_is_gone_is_named(config: dict[str, Any], project: Path) -> None:
    mounts = config["services"]["koolflows"]["volumes"]
    mounts.append({"type": "bind", "source": str(project / "gone.yml"), "target": "/x"})
    with pytest.raises(StackError, match=r"koolflows mounts .*gone.yml, which cannot be read"):
        translate(config, project)


def test_a_part_of_the_file_that_is_not_known_is_refused(
    config: dict[str, Any], project: Path
) -> None:
    with pytest.raises(StackError, match="the key 'models'"):
        translate({**config, "models": {}}, project)


def test_every_reason_for_leaving_out_is_told_in_the_guide() -> None:
    guide = (ROOT / "docs/swarm.md").read_text()
    for key in LEFT_OUT.keys() - {"command", "entrypoint"}:
        assert f"`{key}`" in guide, key
