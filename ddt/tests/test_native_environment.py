"""Which of the caller's variables reach which of the platform's processes."""

from pathlib import Path

import pytest
from ddt.native.services import Ports, _Platform
from ddt.settings import Settings


def test_where_traces_go_reaches_our_own_services_and_neither_signer_nor_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    platform = _Platform(Settings(home=tmp_path), Ports(1, 2, 3, 4, 5))
    units = {unit.name: unit.environment for unit in platform.units()}
    traced = {
        name for name, variables in units.items() if "OTEL_EXPORTER_OTLP_ENDPOINT" in variables
    }
    assert {"web", "status", "worker", "beat"} <= traced
    assert not traced & {"signer", "traefik", "postgresql", "valkey"}
    assert not any("hunter2" in variables.values() for variables in units.values())
