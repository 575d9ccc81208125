"""The metrics front: what it shows, and that an absent part costs only its own figures."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pkakey.fronts.metrics.app import MetricsApplication, gateway_figures
from pkakey.fronts.metrics.collectors import (
    FIGURES,
    BackupPart,
    DatabasePart,
    PartAway,
    PlatformCollector,
    QueuePart,
    SignerPart,
)
from pkakey.fronts.metrics.database import FiguresDatabase
from pkakey_signers.client import SignerClient
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from psycopg import sql
from redis import Redis

REDIS_NOBODY = "redis://127.0.0.1:1/0"


def ask(
    application: MetricsApplication, path: str = "/metrics", method: str = "GET"
) -> tuple[str, bytes]:
    seen: list[str] = []

    def start(status: str, _headers: list[tuple[str, str]], *_: object) -> Any:
        seen.append(status)

    body = b"".join(application({"PATH_INFO": path, "REQUEST_METHOD": method}, start))
    return seen[0], body


def shown(parts: Iterable[Any]) -> dict[str, dict[tuple[str, ...], float]]:
    registry = CollectorRegistry()
    registry.register(PlatformCollector(parts))
    text = ask(MetricsApplication(registry))[1].decode()
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_the_real_parts_give_every_figure(
    platform: Any, role_dsn: Callable[[str], str], signer_process: Path, tmp_path: Path
) -> None:
    platform.issue("watched.example.test")
    database = FiguresDatabase(role_dsn("pkakey_status"))
    with SignerClient(signer_process / "signer.sock") as signer:
        found = shown([DatabasePart(database), SignerPart(signer), BackupPart(tmp_path)])
    database.close()
    assert set(FIGURES) <= set(found)
    up = found["pkakey_part_up"]
    assert up == {("database",): 1, ("signer",): 1, ("backups",): 1}
    assert found["pkakey_intents_open"] == {(): 0}
    assert found["pkakey_outbox_waiting"][()] > 0
    assert len(found["pkakey_crl_next_update_timestamp_seconds"]) == 2
    assert found["pkakey_signer_ready"] == {(): 1}
    assert sum(found["pkakey_signer_request_duration_seconds_count"].values()) > 0


def test_an_open_intent_and_its_age_are_seen(
    platform: Any, role_dsn: Callable[[str], str], admin_connection: Any
) -> None:
    platform.issue("left.open.test")
    admin_connection.execute("SET session_replication_role = replica")
    admin_connection.execute(
        "UPDATE certificates_intent SET state = 'open', closed_at = NULL, "
        "created_at = now() - interval '10 minutes' WHERE subject LIKE '%left.open.test%'"
    )
    database = FiguresDatabase(role_dsn("pkakey_status"))
    found = shown([DatabasePart(database)])
    database.close()
    assert found["pkakey_intents_open"] == {(): 1}
    assert found["pkakey_intents_open_oldest_seconds"][()] >= 600


def test_the_lag_of_the_inventory_is_seen_until_it_has_everything(
    platform: Any,
    role_dsn: Callable[[str], str],
    admin_connection: Any,
) -> None:
    platform.issue("behind.example.test")
    admin_connection.execute("SET session_replication_role = replica")
    admin_connection.execute(
        "UPDATE outbox_event SET occurred_at = now() - interval '10 minutes' "
        "WHERE number = (SELECT min(number) FROM outbox_event)"
    )
    database = FiguresDatabase(role_dsn("pkakey_status"))
    found = shown([DatabasePart(database)])
    assert found["pkakey_inventory_waiting"][()] > 0
    assert found["pkakey_inventory_oldest_seconds"][()] >= 600
    # The relay's own test shows that it marks; here only what is shown afterwards counts.
    admin_connection.execute("UPDATE outbox_event SET inventory_batch = 1")
    found = shown([DatabasePart(database)])
    database.close()
    assert found["pkakey_inventory_waiting"] == {(): 0}
    assert found["pkakey_inventory_oldest_seconds"] == {(): 0}


@pytest.mark.parametrize("function", ["platform_figures", "inventory_figures"])
@pytest.mark.parametrize("role", ["pkakey_web", "pkakey_worker", "pkakey_signer"])
def test_no_other_role_may_ask_for_the_figures(
    platform: Any, role_dsn: Callable[[str], str], role: str, function: str
) -> None:
    with (
        psycopg.connect(role_dsn(role), autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(sql.SQL("SELECT * FROM status.{}()").format(sql.Identifier(function)))


def test_absent_parts_are_told_and_cost_only_their_own_figures(tmp_path: Path) -> None:
    away = FiguresDatabase("postgresql://nobody@127.0.0.1:1/nothing")
    with Redis.from_url(REDIS_NOBODY) as redis:
        found = shown(
            [
                DatabasePart(away),
                SignerPart(SignerClient(tmp_path / "no.sock")),
                QueuePart(redis, name="pkakey", stream="theddt.events"),
                BackupPart(tmp_path / "nowhere"),
            ]
        )
    assert found["pkakey_part_up"] == {
        ("database",): 0,
        ("signer",): 0,
        ("redis",): 0,
        ("backups",): 1,
    }
    assert found["pkakey_backup_last_success_timestamp_seconds"] == {(): 0}
    assert "pkakey_intents_open" not in found


def test_the_newest_whole_backup_counts(tmp_path: Path) -> None:
    for name, time in (("old.age", 1000), ("new.age", 2000), ("unfinished.part", 9000)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time, time))
    found = shown([BackupPart(tmp_path)])
    assert found["pkakey_backup_last_success_timestamp_seconds"] == {(): 2000}


def test_a_figure_that_nobody_described_is_not_shown() -> None:
    class Odd:
        def figures(self) -> Any:
            return [("evil", {}, 1.0), ("pkakey_outbox_waiting", {}, 3.0)]

    found = shown([DatabasePart(Odd())])
    assert "evil" not in found
    assert found["pkakey_outbox_waiting"] == {(): 3}


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/", "GET", 404), ("/metrics/", "GET", 404), ("/metrics", "POST", 405), ("", "GET", 404)],
)
def test_there_is_nothing_else(path: str, method: str, status: int) -> None:
    answered, body = ask(MetricsApplication(CollectorRegistry()), path, method)
    assert answered.startswith(str(status))
    assert body.endswith(b".\n")


def test_asking_often_does_not_load_the_platform() -> None:
    asked: list[int] = []

    class Counting:
        name = "database"

        def families(self) -> Iterable[Any]:
            asked.append(1)
            raise PartAway("Not here.")

    registry = CollectorRegistry()
    # The registry asks each collector for its names once, when it is registered.
    registry.register(PlatformCollector([Counting()]))
    asked.clear()
    time = [0.0]
    application = MetricsApplication(registry, clock=lambda: time[0])
    for _ in range(50):
        ask(application)
    assert len(asked) == 1
    time[0] = 2.0
    ask(application)
    assert len(asked) == 2


def test_an_absent_gateway_is_told() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = gateway_figures(f"http://127.0.0.1:{port}/metrics")()
    assert b"pkakey_gateway_up 0\n" in text


def test_it_imports_no_django() -> None:
    program = (
        "import sys, pkakey.config.exporter\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('django', 'celery', 'wagtail')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
