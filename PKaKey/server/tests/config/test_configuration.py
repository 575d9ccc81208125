"""Settings, wiring and what every request gets."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from pkakey.config.env import Env
from pydantic import ValidationError


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A complete environment of a production process."""
    (tmp_path / "key").write_text("k3yMaterial-" * 6)
    return {
        "PATH": os.environ["PATH"],
        "PKAKEY_DATABASE_URL": "postgresql://pkakey_web@127.0.0.1:1/pkakey",
        "PKAKEY_REDIS_URL": "redis://127.0.0.1:1/0",
        "PKAKEY_SIGNER_SOCKET": str(tmp_path / "signer.sock"),
        "PKAKEY_SECRET_KEY_FILE": str(tmp_path / "key"),
    }


def start(environment: dict[str, str], code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"DJANGO_SETTINGS_MODULE": "pkakey.config.settings"},
        capture_output=True,
        text=True,
        check=False,
    )


READ = "from django.conf import settings as s; s.SECRET_KEY"


def test_production_starts_with_a_complete_environment(environment: dict[str, str]) -> None:
    done = start(
        environment,
        f"{READ}; print(s.DEBUG, s.SESSION_COOKIE_SECURE, s.DATABASES['default']['USER'])",
    )
    assert done.stdout.split() == ["False", "True", "pkakey_web"], done.stderr


@pytest.mark.parametrize("secret", ["", "short", "x" * 80])
def test_production_does_not_start_with_a_weak_secret(
    environment: dict[str, str], tmp_path: Path, secret: str
) -> None:
    (tmp_path / "key").write_text(secret)
    done = start(environment, READ)
    assert done.returncode != 0
    assert "ddt init" in done.stderr
    if len(secret) > 10:
        assert secret not in done.stderr


def test_production_does_not_start_in_debug_mode(environment: dict[str, str]) -> None:
    done = start(environment | {"PKAKEY_DEBUG": "1"}, READ)
    assert done.returncode != 0
    assert "PKAKEY_DEBUG" in done.stderr


def test_every_missing_variable_is_named_at_once_and_no_value_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in list(os.environ):
        if name.startswith("PKAKEY_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PKAKEY_LOG_LEVEL", "hunter2")
    with pytest.raises(ValidationError) as caught:
        Env.load()
    text = str(caught.value)
    for name in ("database_url", "redis_url", "signer_socket", "secret_key_file", "log_level"):
        assert name in text
    assert "hunter2" not in text


def test_every_variable_has_a_description() -> None:
    assert all(field.description for field in Env.model_fields.values())


def test_migrations_are_made_by_the_owner(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "pkakey-owner-password").write_text("p")
    code = f"{READ}; d = s.DATABASES['default']; print(d['USER'], d['PASSWORD'], d['NAME'])"
    migrating = environment | {"PKAKEY_MIGRATING": "1", "PKAKEY_SECRETS_DIR": str(tmp_path)}
    assert start(migrating, code).stdout.split() == ["pkakey_owner", "p", "pkakey"]


@pytest.mark.parametrize(("pooled", "threshold"), [("true", "None"), ("false", "2")])
def test_statements_are_prepared_only_where_no_pooler_stands_between(
    environment: dict[str, str], pooled: str, threshold: str
) -> None:
    code = f"""{READ}
from django.db import connection
print(connection.get_connection_params()["prepare_threshold"])"""
    done = start(environment | {"PKAKEY_DATABASE_POOLED": pooled}, code)
    assert done.stdout.split() == [threshold], done.stderr


@pytest.mark.parametrize("module", ["status_wsgi", "beat"])
def test_the_small_processes_do_not_load_the_site(environment: dict[str, str], module: str) -> None:
    done = start(
        environment,
        f"import sys; from pkakey.config import {module}; getattr({module}, 'app', None); "
        # kombu takes a few functions of Django, where it is installed.
        "heavy = ('django.apps', 'django.conf', 'django.db', 'rest_framework', 'wagtail'); "
        "print([name for name in heavy if name in sys.modules])",
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_no_migration_is_missing(db: None) -> None:
    from django.core.management import call_command

    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_every_app_with_tables_has_migrations() -> None:
    from django.apps import apps

    for app in apps.get_app_configs():
        if app.name.startswith("pkakey.") and list(app.get_models()):
            assert (Path(app.path) / "migrations" / "0001_initial.py").exists(), app.name


def test_the_schedule_names_tasks_that_exist() -> None:
    from pkakey.config.beat import SCHEDULE
    from pkakey.config.celery import app

    app.loader.import_default_modules()
    scheduled = {entry["task"] for entry in SCHEDULE.values()}
    assert scheduled <= set(app.tasks)
    assert len(scheduled) == 8


class TestRequests:
    @pytest.fixture(autouse=True)
    def _database(self, db: None, services: Any) -> None:
        pass

    def test_liveness_asks_nobody(self, client: Client) -> None:
        assert client.get("/healthz").json() == {"state": "alive"}

    def test_readiness_names_the_part_that_is_away(self, client: Client) -> None:
        response = client.get("/readyz")
        assert response.status_code == 503
        assert response.json()["parts"] == {
            "database": "ok",
            "redis": "unavailable",
            "signer": "ok",
        }

    @pytest.mark.parametrize(
        "came",
        ["", "x" * 65, "'; DROP TABLE", "0b6c1f6e\n", "a" * 5000, 'a"b', "a b", "é", "a/b"],
    )
    def test_a_request_id_that_is_none_is_replaced(self, client: Client, came: str) -> None:
        answered = client.get("/healthz", headers={"X-Request-ID": came})["X-Request-ID"]
        assert answered != came
        assert str(UUID(answered)) == answered

    def test_a_request_id_is_kept(self, client: Client) -> None:
        for came in ("0B6C1F6E-0000-4000-8000-000000000001", "order-7.A_b", "1", "x" * 64):
            answered = client.get("/healthz", headers={"X-Request-ID": came})["X-Request-ID"]
            assert answered == came

    def test_the_policy_is_strict(self, client: Client) -> None:
        policy = client.get("/healthz")["Content-Security-Policy"]
        for directive in (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "form-action 'self'",
        ):
            assert directive in policy.split("; ")
        assert "unsafe" not in policy

    def test_the_policy_is_looser_for_editors_only(self, client: Client) -> None:
        assert "'unsafe-inline'" in client.get("/cms/")["Content-Security-Policy"]
        for path in ("/", "/cms", "/accounts/login/", "/portal/", "/nowhere/cms/"):
            assert "unsafe" not in client.get(path)["Content-Security-Policy"], path


def with_fallbacks(environment: dict[str, str], tmp_path: Path, text: str) -> Env:
    file = tmp_path / "fallbacks"
    file.write_text(text)
    return Env(
        database_url=environment["PKAKEY_DATABASE_URL"],
        redis_url=environment["PKAKEY_REDIS_URL"],
        signer_socket=tmp_path / "signer.sock",
        secret_key_file=tmp_path / "key",
        secret_key_fallbacks_file=file,
    )


def test_a_secret_key_from_before_counts_until_its_moment_and_no_longer(
    environment: dict[str, str], tmp_path: Path
) -> None:
    first, second = "a1" * 32, "b2" * 32
    until = datetime(2126, 1, 1, 12, tzinfo=UTC)
    later = until + timedelta(hours=1)
    text = f"{later.isoformat()} {first}\n{until.isoformat()} {second}\n"
    env = with_fallbacks(environment, tmp_path, text)
    assert env.secret_key_fallbacks(until - timedelta(seconds=1)) == [first, second]
    assert env.secret_key_fallbacks(until) == [first]
    assert env.secret_key_fallbacks(later) == []


def test_without_a_file_of_keys_from_before_there_are_none(
    environment: dict[str, str], tmp_path: Path
) -> None:
    env = with_fallbacks(environment, tmp_path, "")
    assert env.secret_key_fallbacks(datetime.now(UTC)) == []
    (tmp_path / "fallbacks").unlink()
    assert env.secret_key_fallbacks(datetime.now(UTC)) == []


@pytest.mark.parametrize(
    "line",
    [
        "a1" * 32,
        "2126-01-01T12:00:00 " + "a1" * 32,
        "2126-01-01T12:00:00+00:00 short",
        "someday " + "a1" * 32,
        "2126-01-01T12:00:00+00:00",
        "\n",
    ],
)
def test_a_damaged_list_of_keys_from_before_is_told_without_what_it_says(
    environment: dict[str, str], tmp_path: Path, line: str
) -> None:
    env = with_fallbacks(environment, tmp_path, f"{line}\n")
    with pytest.raises(ValueError, match="Line 1 of") as caught:
        env.secret_key_fallbacks(datetime.now(UTC))
    assert "a1a1" not in str(caught.value)


@pytest.mark.parametrize(
    "field",
    [
        "database_password_file", "admin_database_password_file",
        "inventory_database_password_file", "redis_password_file",
    ],
)  # fmt: skip
@pytest.mark.parametrize("octets", [b"", b" \n"])
def test_an_empty_secret_is_named_before_anything_starts(
    environment: dict[str, str], tmp_path: Path, field: str, octets: bytes
) -> None:
    file = tmp_path / "a-secret"
    file.write_bytes(octets)
    with pytest.raises(ValidationError, match=f"The secret {file} is empty"):
        Env(
            database_url=environment["PKAKEY_DATABASE_URL"],
            redis_url=environment["PKAKEY_REDIS_URL"],
            signer_socket=tmp_path / "signer.sock",
            secret_key_file=tmp_path / "key",
            **{field: file},  # type: ignore[arg-type]
        )
