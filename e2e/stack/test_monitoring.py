"""Prometheus asks every service, has its rules, and shows itself to administrators only.

Grafana's program is in no package registry: tests/test_monitoring.py checks its files without it.
"""

import json
from typing import Any

import httpx
import pytest

from e2e.stack.program import Program
from e2e.stack.stack import ROOT, Stack, eventually

EXPECTED = {
    "pkakey_django:9464", "pkakey_status:9464", "pkakey_celery_worker:9464",
    "pkakey_celery_beat:9464", "pkakey_metrics:9464", "quewall_traefik:8082",
    "quewall_keycloak:9000", "localhost:9090",
}  # fmt: skip
# The local image is PostgREST 12.0, which has no figures yet; the pinned one has.
OLDER = {"pesequel_postgrest:3001"}


def asked(stack: Stack, path: str, **parameters: str) -> Any:  # noqa: ANN401
    """Ask Prometheus' interface, at its own address."""
    address = f"http://{stack.inner('monitoring_prometheus')}:9090/api/v1{path}"
    answer = httpx.get(address, params=parameters, timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def health(stack: Stack) -> dict[str, str]:
    """Return each target's address and how it is."""
    rows = asked(stack, "/targets")["activeTargets"]
    return {row["labels"]["instance"]: row["health"] for row in rows}


def test_every_service_is_asked_and_answers(stack: Stack) -> None:
    eventually(
        lambda: {name for name, how in health(stack).items() if how == "up"} >= EXPECTED,
        "every target is up",
        60,
    )
    assert set(health(stack)) == EXPECTED | OLDER
    parts = {row["metric"]["part"]: row["value"][1] for row in query(stack, "pkakey_part_up")}
    assert parts == {"database": "1", "redis": "1", "signer": "1"}


def query(stack: Stack, expression: str) -> list[dict[str, Any]]:
    """Return what an expression yields now."""
    found: list[dict[str, Any]] = asked(stack, "/query", query=expression)["result"]
    return found


def issued(stack: Stack) -> float:
    rows = query(stack, "sum(pkakey_certificates_issued_total)")
    return float(rows[0]["value"][1]) if rows else 0.0


def test_what_is_issued_is_counted(stack: Stack, program: Program) -> None:
    before = issued(stack)
    for number in range(3):
        program.issue(f"counted-{number}.example.test")
    eventually(lambda: issued(stack) >= before + 3, "the three are counted", 60)


def test_the_rules_are_loaded_and_nothing_critical_speaks(stack: Stack) -> None:
    groups = asked(stack, "/rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 20
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    speaking = {
        (alert["labels"]["alertname"], alert["labels"].get("instance", ""))
        for alert in asked(stack, "/alerts")["alerts"]
        if alert["labels"]["severity"] == "critical" and alert["state"] == "firing"
    }
    assert speaking <= {("TargetDown", name) for name in OLDER}


@pytest.mark.parametrize("name", ["overview", "issuance"])
def test_a_dashboards_figures_are_there(stack: Stack, name: str) -> None:
    dashboard = json.loads((ROOT / f"monitoring/grafana/dashboards/{name}.json").read_text())
    panels = [panel for panel in dashboard["panels"] if panel["targets"]]
    answered = [
        panel["title"]
        for panel in panels
        if any(
            query(stack, target["expr"].replace("$__rate_interval", "5m"))
            for target in panel["targets"]
        )
    ]
    # A panel about what has not happened yet stays empty.
    assert len(answered) >= len(panels) / 2, answered


@pytest.mark.parametrize("path", ["/prometheus/", "/prometheus/api/v1/status/config"])
def test_nobody_sees_it_who_is_not_signed_in(stack: Stack, path: str) -> None:
    page = stack.ask("", path, headers={"Accept": "text/html"})
    assert page.status_code == 302
    assert "/protocol/openid-connect/auth?" in page.headers["location"]
    assert stack.ask("", path, headers={"Accept": "application/json"}).status_code == 401


@pytest.mark.parametrize("name", ["pkakey", "flows", "api", "auth", "keycloak"])
def test_no_figure_is_routed(stack: Stack, name: str) -> None:
    assert stack.ask(name, "/metrics").status_code in {302, 401, 403, 404}
