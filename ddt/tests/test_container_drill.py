"""The scratch project of a drill has nothing in common with the platform."""

import copy
from typing import Any

from ddt.backup.container_drill import NAME, scratch_project

SERVICE: dict[str, Any] = {
    "image": "x", "build": {"context": "."}, "restart": "unless-stopped",
    "networks": {"backend": None}, "labels": {"traefik.enable": "true"},
    "ports": [{"target": 443, "published": "443"}],
    "depends_on": {"pkakey_redis": {"condition": "service_healthy"}},
    "secrets": [{"source": "one"}],
    "volumes": [{"type": "volume", "source": "data", "target": "/data"}],
}  # fmt: skip
WANTED = (
    "pkakey_postgres", "pesequel_postgres", "quewall_postgres", "pkakey_migrate", "pkakey_signer",
    "pkakey_bootstrap", "pkakey_status",
)  # fmt: skip
CONFIG: dict[str, Any] = {
    "name": "theddt",
    "services": dict.fromkeys((*WANTED, "quewall_traefik", "pkakey_redis"), SERVICE),
    "networks": {"backend": {"name": "theddt_backend"}},
    "volumes": {"data": {"name": "theddt_data"}, "other": {"name": "theddt_other"}},
    "secrets": {"one": {"name": "theddt_one", "file": "/scratch/one"}, "two": {"file": "/two"}},
}


def test_no_name_network_volume_route_or_port_of_the_platform_is_in_it() -> None:
    before = copy.deepcopy(CONFIG)
    made = scratch_project(CONFIG)
    assert before == CONFIG
    assert made["name"] == NAME != CONFIG["name"]
    assert set(made["services"]) == set(WANTED)
    assert made["volumes"] == {"data": {}}, "a name would be the platform's volume"
    assert made["secrets"] == {"one": {"file": "/scratch/one"}}
    assert set(made["networks"]) == {"inside", "outside"}
    assert made["networks"]["inside"] == {"internal": True}
    for name, service in made["services"].items():
        assert not {"build", "labels", "depends_on", "restart"} & set(service), name
        assert set(service["networks"]) <= {"inside", "outside"}
        assert all(port.startswith("127.0.0.1::") for port in service.get("ports", []))
    assert "ports" not in made["services"]["pkakey_signer"]
    assert made["services"]["pkakey_signer"]["networks"] == ["inside"]
