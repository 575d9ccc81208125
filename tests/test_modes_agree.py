"""Native mode and containers serve the same routes and set variables that the services know."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
NATIVE = (ROOT / "QueWall/traefik/dynamic/routes.yml").read_text()
ONLY_IN_CONTAINERS = {"keycloak", "auth", "pgadmin"}


def hosts(rules: list[str]) -> set[str]:
    return {
        name for rule in rules for name in re.findall(r"Host\(`(?:([a-z]+)\.)?\$\{DOMAIN", rule)
    }


def test_the_hosts_are_the_same_but_for_keycloaks_own() -> None:
    compose = hosts(re.findall(r"routers\.[a-z-]+\.rule: (.+)", COMPOSE))
    native = hosts(re.findall(r'rule: "(.+)"', NATIVE))
    assert native <= compose
    assert compose - native - ONLY_IN_CONTAINERS <= {"api", "flows"}


def test_what_plain_http_serves_is_the_same() -> None:
    rule = re.search(r"routers\.status\.rule: (.+)", COMPOSE)
    assert rule is not None
    assert f'rule: "{rule[1]}"' in NATIVE


@pytest.mark.parametrize(
    ("prefix", "file"),
    [
        ("PKAKEY_", "PKaKey/server/src/pkakey/config/env.py"),
        ("KOOLFLOWS_", "KoolFlows/src/koolflows/config/env.py"),
    ],
)
def test_every_variable_that_compose_sets_is_one_that_the_service_reads(
    prefix: str, file: str
) -> None:
    known = set(re.findall(r"^    ([a-z0-9_]+): .*= ?F?", (ROOT / file).read_text(), re.MULTILINE))
    set_here = set(re.findall(rf"^ +{prefix}([A-Z0-9_]+):", COMPOSE, re.MULTILINE))
    assert set_here
    assert {name.lower() for name in set_here} - known == set()


def test_both_modes_ask_the_same_health_addresses() -> None:
    native = (ROOT / "ddt/src/ddt/native/services.py").read_text()
    assert "/healthz" in native
    assert COMPOSE.count("http://127.0.0.1:8000/healthz") >= 3
