"""The monitoring's files: promtool takes the rules, and nothing asks for a figure that is none."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY, CollectorRegistry, Metric

HOME = Path(__file__).parents[1] / "monitoring"
RULES = HOME / "prometheus" / "rules.yml"
DASHBOARDS = sorted((HOME / "grafana" / "dashboards").glob("*.json"))
GRID_WIDTH = 24
# What a rule or a panel may ask of others than PKaKey; e2e/test_watching.py sees the gateway's on a
# running platform, and `up` is Prometheus' own.
OTHERS = {"up", "traefik_tls_certs_not_after", "traefik_service_requests_total"}
WORDS = {
    "rate", "increase", "sum", "min", "max", "by", "le", "time", "vector", "or", "and", "bool",
    "histogram_quantile",
}  # fmt: skip


def promtool(*arguments: str | Path) -> str:
    program = shutil.which("promtool")
    if program is None:
        text = "These tests need promtool: install Debian's package 'prometheus'."
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> list[dict[str, Any]]:
    return [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]


def dashboards() -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in DASHBOARDS]


def expressions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for dashboard in dashboards():
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                yield f"{dashboard['uid']}: {panel['title']}", target["expr"]


def sample_names(families: Iterator[Metric]) -> set[str]:
    """The names under which the families' samples are shown."""
    names: set[str] = set()
    for family in families:
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
        names |= {family.name + ending for ending in endings.get(family.type, ("",))}
    return names


def exposed() -> set[str]:
    """Every name that the code counts or asks for."""
    import pkakey.config.access
    import pkakey.config.task_watching
    import pkakey.fronts.status.metrics
    import pkakey.services.measuring  # noqa: F401
    from pkakey.fronts.metrics.collectors import (
        FIGURES,
        BackupPart,
        Part,
        PlatformCollector,
        QueuePart,
        SignerPart,
    )

    class Answering:
        def health(self) -> dict[str, Any]:
            return {}

        def metrics(self) -> dict[str, Any]:
            return {}

        def llen(self, _name: str) -> int:
            return 0

        hlen = xlen = llen

    parts: list[Part] = [
        SignerPart(Answering()),
        QueuePart(Answering(), name="", stream=""),
        BackupPart(Path("/nowhere")),
    ]
    asked = CollectorRegistry()
    asked.register(PlatformCollector(parts))
    names = sample_names(iter(REGISTRY.collect())) | sample_names(iter(asked.collect()))
    return names | set(FIGURES) | {"pkakey_gateway_up"}


def asked_names(expression: str) -> set[str]:
    """The metrics' names in an expression: words outside of braces, brackets and `by (…)`."""
    bare = re.sub(r'\{[^}]*\}|\[[^\]]*\]|"[^"]*"|\bby \([^)]*\)', " ", expression)
    return set(re.findall(r"(?<![\w.])[a-z_][a-z0-9_]*", bare)) - WORDS


def test_promtool_takes_the_configuration_and_the_rules() -> None:
    promtool("check", "config", HOME / "prometheus" / "prometheus.yml")


def test_the_rules_pass_their_own_tests() -> None:
    promtool("test", "rules", HOME / "prometheus" / "rules_test.yml")


def test_every_alert_has_a_test_that_it_speaks_and_one_that_it_is_silent() -> None:
    tests = yaml.safe_load((HOME / "prometheus" / "rules_test.yml").read_text())["tests"]
    speaks: set[str] = set()
    silent: set[str] = set()
    for test in tests:
        for each in test["alert_rule_test"]:
            (speaks if each["exp_alerts"] else silent).add(each["alertname"])
    alerts = {rule["alert"] for rule in rules()}
    assert speaks == silent == alerts


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    for rule in rules():
        assert set(rule["annotations"]) == {"summary", "action"}, rule["alert"]
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}, rule["alert"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_figure_that_is_asked_for_exists(where: str, expression: str) -> None:
    asked = asked_names(expression)
    assert asked, where
    assert asked <= exposed() | OTHERS


def test_an_invented_figure_would_be_found() -> None:
    assert asked_names("sum by (le) (rate(pkakey_invented_total{a='b'}[5m])) > 0") == {
        "pkakey_invented_total"
    }
    assert "pkakey_invented_total" not in exposed()


def test_promtool_takes_every_expression_of_the_dashboards(tmp_path: Path) -> None:
    records = [
        {"record": f"panel:{number}", "expr": expression}
        for number, (_, expression) in enumerate(expressions())
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": records}]}))
    promtool("check", "rules", "--lint=none", file)


@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda each: str(each["uid"]))
def test_a_dashboard_is_whole(dashboard: dict[str, Any]) -> None:
    sources = yaml.safe_load(
        (HOME / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text()
    )["datasources"]
    uids = {source["uid"] for source in sources}
    ids: set[int] = set()
    places: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        ids.add(panel["id"])
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= GRID_WIDTH, panel["title"]
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & places, f"{panel['title']} lies on another panel"
        places |= cells
        assert panel["type"] in {"stat", "timeseries"}
        assert panel["datasource"]["uid"] in uids
        references = [target["refId"] for target in panel["targets"]]
        assert references == sorted(set(references))
    assert len(ids) == len(dashboard["panels"])
    assert len({each["uid"] for each in dashboards()}) == len(DASHBOARDS)


def compose() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((HOME.parent / "docker-compose.yml").read_text())[
        "services"
    ]
    return services


def test_what_grafana_is_told_is_what_docker_compose_mounts_and_names() -> None:
    grafana, prometheus = compose()["monitoring_grafana"], compose()["monitoring_prometheus"]
    mounts = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    assert mounts["./monitoring/grafana/provisioning"] == "/etc/grafana/provisioning"
    (provider,) = yaml.safe_load(
        (HOME / "grafana" / "provisioning" / "dashboards" / "theddt.yml").read_text()
    )["providers"]
    assert mounts["./monitoring/grafana/dashboards"] == provider["options"]["path"]
    (source,) = yaml.safe_load(
        (HOME / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text()
    )["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in prometheus["networks"]["backend"]["aliases"]
    assert grafana["networks"] == ["backend"]


def test_grafana_has_no_account_of_its_own_and_believes_the_gateway_alone() -> None:
    settings = compose()["monitoring_grafana"]["environment"]
    assert settings["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert settings["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert settings["GF_AUTH_BASIC_ENABLED"] == "false"
    assert settings["GF_AUTH_PROXY_WHITELIST"] == "${GATEWAY_ADDRESS:-10.213.70.2}"
    assert not [name for name in settings if "PASSWORD" in name or "ANONYMOUS" in name]


@pytest.mark.parametrize("name", ["monitoring_prometheus", "monitoring_grafana"])
def test_a_page_of_monitoring_is_behind_sign_in_and_the_administrators_role(name: str) -> None:
    labels = compose()[name]["labels"]
    (chain,) = [value for key, value in labels.items() if key.endswith(".middlewares")]
    assert chain.split(",")[:2] == ["sign-in@file", "only-pki-admin@file"]
    assert compose()[name]["profiles"] == ["monitoring"]
    assert "ports" not in compose()[name]
