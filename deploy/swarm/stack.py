"""Turns compose's resolved configuration into a stack that is the same platform.

What a stack cannot say is named in LEFT_OUT with its reason; whatever is not known here is refused,
so that nothing falls away in silence.
"""

import hashlib
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LEFT_OUT = {
    "build": "nodes take images from a registry, or have them",
    "command": "null in what compose prints: the image's own",
    "depends_on": "Swarm knows no order: what comes too early ends and is started again",
    "dns_opt": "no service of Swarm's has it; a name that is gone is known to be so after 20 s",
    "entrypoint": "null in what compose prints: the image's own",
    "profiles": "compose has chosen already",
    "pull_policy": "given to the deployment: --resolve-image never",
    "security_opt": "no service of this engine's Swarm has it; set it for the node's daemon",
}
"""What compose says of a service and the stack does not, and why that is so."""

AS_IT_IS = (
    "cap_drop", "command", "entrypoint", "environment", "healthcheck", "image", "init", "logging",
    "read_only", "stop_grace_period", "user",
)  # fmt: skip
TRANSLATED = (
    "deploy", "labels", "networks", "ports", "restart", "secrets", "shm_size", "tmpfs", "volumes",
)  # fmt: skip
REPLICAS = {"koolflows": 2, "pkakey_celery_worker": 2, "pkakey_django": 2}
"""How many of a service there are where nobody says another number; of the rest there is one."""
SCALABLE = REPLICAS.keys() | {
    "koolflows_worker", "pesequel_pgbouncer", "pesequel_postgrest", "pkakey_status",
    "quewall_oauth2_proxy",
}  # fmt: skip
"""Of which there may be several. A second signer would end at once: the first holds the log."""

GATEWAY = "quewall_traefik"
TRUSTING = ("quewall_keycloak", "quewall_oauth2_proxy", "pesequel_pgadmin", "monitoring_grafana")
"""Who believes the gateway's address. In order: each has its part of the gates' addresses."""
ONLY_BY_GATE = ("quewall_oauth2_proxy", "pesequel_pgadmin")
"""Whom nobody but the gateway asks in `backend`. The gateway asks the first by its name, so that
this name must lead it through the gate alone."""
BACKEND = "backend"
GATE_PREFIX = 27
ON_STATE = "node.labels.theddt.state == true"
ON_MANAGER = "node.role == manager"
ENGINE_SOCKET = "/var/run/docker.sock"
LARGEST_FILE = 500 * 1024
"""Octets of a secret or config, as the engine allows."""
PREPARATION = "pkakey_volumes"
OF_WORKER = "pkakey_celery_worker"


class StackError(Exception):
    """A sentence that says what cannot be turned into a stack, and what to do."""


@dataclass(frozen=True)
class Choices:
    """What whoever deploys decides; the defaults are those of the command line."""

    replicas: Mapping[str, int] = field(default_factory=dict)
    gates: str = "10.213.71.0/24"
    """Addresses of the networks between the gateway and those who trust it."""
    is_encrypted: bool = False
    """Between nodes, IPsec around what the internal networks carry."""


def translate(
    config: Mapping[str, Any], folder: Path, choices: Choices = Choices()
) -> dict[str, Any]:
    """Return the stack that is the same platform as compose's resolved configuration.

    It reads the files that secrets and mounts name: a name ends with the digest of the content,
    since Swarm changes none. Raises StackError.
    """
    for key in config:
        if key not in {"name", "networks", "secrets", "services", "volumes"} and key[:2] != "x-":
            raise StackError(f"docker-compose.yml has the key '{key}', which no stack is made of.")
    return _Translation(config, folder, choices).stack()


class _Translation:
    def __init__(self, config: Mapping[str, Any], folder: Path, choices: Choices) -> None:
        self._config = config
        self._project = str(config["name"])
        self._folder = folder
        self._choices = choices
        self._configs: dict[str, dict[str, str]] = {}
        self._secrets: dict[str, dict[str, str]] = {}
        self._services: Mapping[str, Any] = config["services"]
        self._gateway_address = _fixed_address(self._services.get(GATEWAY, {}))
        self._gates = self._subnets()

    def stack(self) -> dict[str, Any]:
        self._check_replicas()
        services = {name: self._service(name, entry) for name, entry in self._services.items()}
        if GATEWAY in services and OF_WORKER in services:
            services[PREPARATION] = self._preparation()
            self._make_wait(services[GATEWAY])
        return {
            "version": "3.8",
            "services": services,
            "networks": self._networks(),
            "volumes": {
                name: {"name": entry["name"]} for name, entry in self._config["volumes"].items()
            },
            "secrets": self._secrets,
            "configs": self._configs,
        }

    def _check_replicas(self) -> None:
        for name, number in self._choices.replicas.items():
            if name not in self._services:
                raise StackError(f"There is no service '{name}' to run {number} of.")
            if number > 1 and name not in SCALABLE:
                raise StackError(f"There can be only one {name} (docs/swarm.md).")

    def _subnets(self) -> dict[str, str]:
        if self._gateway_address is None:
            return {}
        trusting = [name for name, entry in self._services.items() if self._trusts(entry)]
        if unknown := sorted(set(trusting) - set(TRUSTING)):
            raise StackError(
                f"{unknown[0]} trusts the gateway's address, and no network is there for the two "
                "alone: add it to TRUSTING.",
            )
        try:
            parts = list(ipaddress.ip_network(self._choices.gates).subnets(new_prefix=GATE_PREFIX))
            return {name: str(parts[TRUSTING.index(name)]) for name in trusting}
        except (ValueError, IndexError):
            raise StackError(
                f"--gates {self._choices.gates}: {len(TRUSTING)} networks of /{GATE_PREFIX} are "
                "needed, such as 10.213.71.0/24 has.",
            ) from None

    def _trusts(self, entry: Mapping[str, Any]) -> bool:
        values = (entry.get("environment") or {}).values()
        return any(self._gateway_address in re.split(r"[^0-9.]", str(value)) for value in values)

    def _service(self, name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
        _check_keys(name, entry)
        made = {key: entry[key] for key in AS_IT_IS if entry.get(key) is not None}
        if name in self._gates:
            made["environment"] = self._trusting_environment(name, entry["environment"])
        if name == GATEWAY:
            made["environment"] = _swarm_provider(made["environment"])
        if name == "quewall_docker_proxy":
            # Traefik asks for these where the engine is a swarm's.
            more = dict.fromkeys(("NETWORKS", "NODES", "SERVICES", "TASKS"), "1")
            made["environment"] = {**made["environment"], **more}
        mounts, configs, constraints = self._mounts(name, entry)
        if mounts:
            made["volumes"] = mounts
        if configs:
            made["configs"] = configs
        if entry.get("secrets"):
            made["secrets"] = [
                self._secret(use, str(entry.get("user", ""))) for use in entry["secrets"]
            ]
        if entry.get("ports"):
            made["ports"] = [_port(name, port) for port in entry["ports"]]
        made["networks"] = self._memberships(name, entry)
        made["deploy"] = self._deploy(name, entry, constraints)
        return made

    def _trusting_environment(self, name: str, environment: Mapping[str, str]) -> dict[str, str]:
        # The network has two members, the gateway and the one who trusts: no third can be meant.
        address = re.compile(rf"(?<![0-9.]){re.escape(str(self._gateway_address))}(?![0-9.])")
        return {key: address.sub(self._gates[name], text) for key, text in environment.items()}

    def _mounts(
        self, name: str, entry: Mapping[str, Any]
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
        mounts: list[dict[str, Any]] = []
        configs: list[dict[str, Any]] = []
        constraints: list[str] = []
        for mount in entry.get("volumes") or []:
            kind, source, target = mount["type"], str(mount["source"]), str(mount["target"])
            if kind == "volume":
                constraints = constraints or [ON_STATE]
                mounts.append({key: mount[key] for key in _MOUNT_KEYS if key in mount})
            elif kind == "bind" and source == ENGINE_SOCKET:
                constraints = [ON_MANAGER]
                mounts.append({key: mount[key] for key in _MOUNT_KEYS if key in mount})
            elif kind == "bind":
                configs += [self._file(name, file, to) for file, to in self._files(source, target)]
            else:
                raise StackError(f"{name}: a mount of the type '{kind}' is not known here.")
        # Swarm gives every tmpfs the mode 1777; compose's owner and mode have no place in it.
        paths = [str(text).partition(":")[0] for text in entry.get("tmpfs") or []]
        mounts += [{"type": "tmpfs", "target": path} for path in paths]
        if entry.get("shm_size"):
            size = {"size": int(entry["shm_size"])}
            mounts.append({"type": "tmpfs", "target": "/dev/shm", "tmpfs": size})  # noqa: S108
        return mounts, configs, constraints

    def _files(self, source: str, target: str) -> list[tuple[Path, str]]:
        path = Path(source)
        if not path.is_relative_to(self._folder):
            raise StackError(
                f"{source} lies outside {self._folder}: another node would not have it.",
            )
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file())
            return [(file, f"{target}/{file.relative_to(path)}") for file in inside]
        return [(path, target)]

    def _file(self, service: str, path: Path, target: str) -> dict[str, Any]:
        octets = _read(path, f"{service} mounts {path}, which")
        key = re.sub(r"[^a-zA-Z0-9_.-]", "-", str(path.relative_to(self._folder)))
        self._configs[key] = {"name": self._named(key, octets), "file": str(path)}
        return {"source": key, "target": target, "mode": 0o444}

    def _secret(self, use: Mapping[str, Any], user: str) -> dict[str, Any]:
        source = str(use["source"])
        target = str(use.get("target") or source).removeprefix("/run/secrets/")
        path = Path(self._config["secrets"][source]["file"])
        octets = _read(path, f"The secret {path}")
        self._secrets[source] = {"name": self._named(source, octets), "file": str(path)}
        owner, _, group = user.partition(":")
        if owner.isdecimal():
            # Whose user is known gets a file of its own.
            mine = {"uid": owner, "gid": group or owner, "mode": 0o400}
            return {"source": source, "target": target, **mine}
        return {"source": source, "target": target, "mode": 0o444}

    def _named(self, key: str, octets: bytes) -> str:
        # Whoever may list names may also mount the content, so that the digest tells nothing more.
        digest = hashlib.sha256(key.encode() + b"\0" + octets).hexdigest()[:12]
        return f"{self._project}_{key[-40:].lstrip('-._')}_{digest}"

    def _memberships(self, name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for network, detail in (entry.get("networks") or {}).items():
            for key in detail or {}:
                if key not in {"aliases", "ipv4_address"} or (
                    key == "ipv4_address" and name != GATEWAY
                ):
                    raise StackError(f"{name}: '{key}' in the network {network} has no place here.")
            if network == BACKEND and name in ONLY_BY_GATE and name in self._gates:
                continue
            aliases = (detail or {}).get("aliases")
            made[network] = {"aliases": aliases} if aliases else None
        if name in self._gates:
            made[_gate(name)] = None
        if name == GATEWAY:
            made |= {_gate(trusting): None for trusting in self._gates}
        return made

    def _networks(self) -> dict[str, Any]:
        options = {"driver_opts": {"encrypted": ""}} if self._choices.is_encrypted else {}
        made = {}
        for name, entry in self._config["networks"].items():
            made[name] = {"name": entry["name"], "driver": "overlay", **options}
            if entry.get("internal"):
                made[name]["internal"] = True
            # The range kept addresses free for a fixed one, and there is none.
            if parts := (entry.get("ipam") or {}).get("config"):
                made[name]["ipam"] = {"config": [{"subnet": part["subnet"]} for part in parts]}
        for name, subnet in self._gates.items():
            made[_gate(name)] = {
                "name": f"{self._project}_{_gate(name)}", "driver": "overlay", "internal": True,
                "ipam": {"config": [{"subnet": subnet}]}, **options,
            }  # fmt: skip
        return made

    def _deploy(
        self, name: str, entry: Mapping[str, Any], constraints: Sequence[str]
    ) -> dict[str, Any]:
        given = entry.get("deploy") or {}
        if more := sorted(key for key in given if given[key] and key != "resources"):
            raise StackError(f"{name}: 'deploy.{more[0]}' is not known here.")
        is_job = entry.get("restart") == "no"
        if not is_job and entry.get("restart") != "unless-stopped":
            raise StackError(f"{name}: 'restart: {entry.get('restart')}' is not known here.")
        made: dict[str, Any] = {
            "replicas": self._choices.replicas.get(name, REPLICAS.get(name, 1)),
            # Names lead to the containers themselves, as in compose.
            "endpoint_mode": "dnsrr",
            "restart_policy": {"condition": "on-failure" if is_job else "any", "delay": "3s"},
            # Two of a kind must not meet: of the signer, and at the gateway's ports.
            "update_config": {
                "parallelism": 1, "order": "stop-first", "monitor": "10s",
                # A job that has ended is no longer running, which Swarm takes for a failure.
                "failure_action": "continue" if is_job else "rollback",
            },
            "rollback_config": {"parallelism": 1, "order": "stop-first"},
        }  # fmt: skip
        if given.get("resources"):
            made["resources"] = given["resources"]
        if constraints:
            made["placement"] = {"constraints": list(constraints)}
        labels = dict(entry.get("labels") or {})
        if labels and name in self._gates:
            labels["traefik.swarm.network"] = f"{self._project}_{_gate(name)}"
        if labels:
            made["labels"] = labels
        return made

    def _preparation(self) -> dict[str, Any]:
        """Return the job that gives two of the gateway's volumes to the user who writes there.

        In compose the migration mounts them first, and they take its folders' owner.
        """
        gateway, worker = self._services[GATEWAY], self._services[OF_WORKER]
        volumes = [m for m in gateway["volumes"] if m["type"] == "volume"]
        folders = [str(mount["target"]) for mount in volumes]
        return {
            "image": worker["image"],
            "user": "0:0",
            "cap_drop": ["ALL"],
            "cap_add": ["CHOWN"],
            "read_only": True,
            "logging": worker["logging"],
            "command": ["chown", str(gateway["user"]), *folders],
            "volumes": [{key: m[key] for key in _MOUNT_KEYS if key in m} for m in volumes],
            # No network is not on offer; this one has no way out, and the job has no secret.
            "networks": {"pkakey_net": None},
            "deploy": self._deploy(PREPARATION, {"restart": "no"}, [ON_STATE]),
        }

    @staticmethod
    def _make_wait(gateway: dict[str, Any]) -> None:
        # Without its log's folder Traefik runs on and logs nothing.
        script = (
            "[ -w /var/log/traefik ] && exec /entrypoint.sh traefik\n"
            f"echo 'The volume of the log is not prepared yet (see {PREPARATION}).' >&2; exit 1"
        )
        gateway["entrypoint"] = ["sh", "-c", script]


_MOUNT_KEYS = ("type", "source", "target", "read_only")


def _check_keys(name: str, entry: Mapping[str, Any]) -> None:
    for key, value in entry.items():
        known = key in LEFT_OUT or key in AS_IT_IS or key in TRANSLATED
        if not known and value is not None:
            raise StackError(
                f"{name}: the key '{key}' is not known here. Translate it, or name it in LEFT_OUT "
                "with the reason.",
            )
    if entry.get("security_opt", []) not in ([], ["no-new-privileges:true"]):
        raise StackError(f"{name}: security_opt has more than no-new-privileges:true.")


def _gate(name: str) -> str:
    return f"gate_{name}"


def _fixed_address(gateway: Mapping[str, Any]) -> str | None:
    details = (gateway.get("networks") or {}).values()
    found = [detail["ipv4_address"] for detail in details if detail and "ipv4_address" in detail]
    return str(found[0]) if found else None


def _swarm_provider(environment: Mapping[str, str]) -> dict[str, str]:
    old, new = "TRAEFIK_PROVIDERS_DOCKER_", "TRAEFIK_PROVIDERS_SWARM_"
    made = {key.replace(old, new): value for key, value in environment.items()}
    # It asks instead of being told; until it asks again, a replica that is gone is still asked.
    return {**made, f"{new}REFRESHSECONDS": "2"}


def _port(name: str, port: Mapping[str, Any]) -> dict[str, Any]:
    address = port.get("host_ip") or "0.0.0.0"  # noqa: S104  # What Swarm does, said aloud below.
    if address != "0.0.0.0":  # noqa: S104
        raise StackError(
            f"{name} publishes port {port['published']} on {address}, and Swarm publishes on every "
            "address of the node. If that is meant, set BIND_ADDRESS=0.0.0.0 in .env; else keep a "
            "firewall before the node, or use compose.",
        )
    return {
        "target": int(port["target"]), "published": int(port["published"]),
        "protocol": str(port.get("protocol", "tcp")), "mode": "host",
    }  # fmt: skip


def _read(path: Path, what: str) -> bytes:
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise StackError(f"{what} cannot be read ({error.strerror}). Restore it.") from None
    if not octets:
        raise StackError(f"{what} is empty. Restore it from your backup.")
    if len(octets) > LARGEST_FILE:
        raise StackError(f"{what} has {len(octets)} octets; Swarm takes {LARGEST_FILE} at most.")
    return octets
