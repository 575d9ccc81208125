"""The pinned images agree in docker-compose.yml, .env.example, the guide and the recipes."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
PINS = dict(re.findall(r"\$\{([A-Z0-9_]+_IMAGE):-([^}]+)\}", COMPOSE))
# No package registry has these programs: the first has a double, the other none (e2e/images).
NOT_LOCAL = {"OAUTH2_PROXY_IMAGE", "GRAFANA_IMAGE"}
MADE_HERE = {"PKAKEY_IMAGE", "PESEQUEL_IMAGE", "KOOLFLOWS_IMAGE"}


def test_the_pins_are_found() -> None:
    assert len(PINS) == 15
    assert not [pin for pin in PINS.values() if pin.endswith(":latest") or ":" not in pin]


@pytest.mark.parametrize("variable", sorted(PINS.keys() - MADE_HERE))
def test_a_pin_is_the_same_everywhere(variable: str) -> None:
    assert f"#{variable}={PINS[variable]}\n" in (ROOT / ".env.example").read_text()
    assert f"| `{variable}` | `{PINS[variable]}`" in (ROOT / "docs/containers.md").read_text()
    if variable not in NOT_LOCAL:
        assert f'"{PINS[variable]}"' in (ROOT / "e2e/images/images.yml").read_text()


def test_every_variable_of_the_compose_file_is_explained() -> None:
    names = set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", COMPOSE))
    example = (ROOT / ".env.example").read_text()
    missing = {name for name in names if not re.search(rf"^#?{name}=", example, re.MULTILINE)}
    assert missing - MADE_HERE == set()


def test_no_value_in_the_example_is_a_secret() -> None:
    for line in (ROOT / ".env.example").read_text().splitlines():
        if not line.startswith("#") and re.search(r"PASSWORD|SECRET_KEY|CLIENT_SECRET", line):
            pytest.fail(line)
