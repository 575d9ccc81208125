"""Which of the caller's variables reach which of the platform's processes."""

import dataclasses
from pathlib import Path

import pytest
from ddt.native.ports import Ports
from ddt.native.services import _Platform
from ddt.settings import Settings

from ddt import secret_files


def test_where_traces_go_reaches_our_own_services_and_neither_signer_nor_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    settings = Settings(home=tmp_path)
    secret_files.prepare(settings.secrets)
    ports = Ports(**{field.name: 1 for field in dataclasses.fields(Ports)})
    units = {unit.name: unit.environment for unit in _Platform(settings, ports).units()}
    traced = {name for name, values in units.items() if "OTEL_EXPORTER_OTLP_ENDPOINT" in values}
    assert {"web", "status", "worker", "beat"} <= traced
    assert not traced & {"signer", "traefik", "postgresql", "valkey"}
    assert not any("hunter2" in values.values() for values in units.values())


def test_where_notices_go_reaches_the_workflow_service_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOOLFLOWS_SMTP_URL", "smtp://127.0.0.1:2525")
    monkeypatch.setenv("KOOLFLOWS_PKAKEY_URL", "http://elsewhere.test")
    settings = Settings(home=tmp_path)
    secret_files.prepare(settings.secrets)
    ports = Ports(**{field.name: 1 for field in dataclasses.fields(Ports)})
    units = {unit.name: unit.environment for unit in _Platform(settings, ports).units()}
    told = {name for name, values in units.items() if "KOOLFLOWS_SMTP_URL" in values}
    assert told == {"flows", "flows-worker", "flows-database"}
    assert not any("http://elsewhere.test" in values.values() for values in units.values())
