"""A real database, as the web process's role; `admin_dsn` looks behind row-level security."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo


@pytest.fixture(scope="session")
def database_name() -> str:
    """The tests' own database; workers of pytest-xdist each have one."""
    from django.conf import settings

    name: str = settings.DATABASES["default"]["NAME"]
    return name


@pytest.fixture(scope="session")
def admin_dsn(database_admin_url: str, database_name: str) -> str:
    """The tests' database as an administrator, whom row-level security does not bind."""
    return make_conninfo(database_admin_url, dbname=database_name)


@pytest.fixture(scope="session")
def role_dsn(database_admin_url: str, database_name: str) -> Callable[[str], str]:
    """Return the tests' database as one of the service's roles."""
    from koolflows.config.databases import TEST_PASSWORD

    return lambda role: make_conninfo(
        database_admin_url, dbname=database_name, user=role, password=TEST_PASSWORD
    )


@pytest.fixture(scope="session")
def django_db_setup(
    database_admin_url: str, database_name: str, admin_dsn: str, django_db_blocker: Any
) -> Iterator[None]:
    """Make the database as the service does: roles, then migrations as the owner."""
    from django.core.management import call_command
    from django.core.management.commands import flush
    from django.db import connections
    from koolflows.config.databases import OWNER, TEST_PASSWORD, WEB
    from koolflows.store.database_roles import LOGIN_ROLES, ensure_roles

    ensure_roles(
        database_admin_url, dict.fromkeys(LOGIN_ROLES, TEST_PASSWORD), database=database_name
    )
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        default = connections["default"]
        default.settings_dict["USER"] = OWNER
        call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
        default.close()
        default.settings_dict["USER"] = WEB

        # pytest-django flushes after each transactional test; the web role may not truncate.
        def flush_as_admin(*_args: object, **_options: object) -> None:
            empty_database(admin_dsn)

        patch.setattr(flush.Command, "handle", flush_as_admin)
        yield
    with django_db_blocker.unblock():
        connections.close_all()
    with psycopg.connect(database_admin_url, autocommit=True) as admin:
        admin.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database_name))
        )


def domain_tables() -> list[str]:
    """The tables of the store's apps."""
    from django.apps import apps
    from koolflows.config.settings_base import STORE_APPS

    return [
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_config.name in STORE_APPS
    ]


def empty_database(admin_dsn: str) -> None:
    """Empty the domain's tables."""
    tables = domain_tables()
    if not tables:
        return
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        # Without triggers: the history's own refuse this even for an administrator.
        admin.execute("SET session_replication_role = replica")
        admin.execute(
            sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(map(sql.Identifier, tables)))
        )


@pytest.fixture
def now() -> datetime:
    """The present time, in whole seconds."""
    return datetime.now(tz=UTC).replace(microsecond=0)


class Recorder:
    """Stands for the other side: counts effects by key, and fails as it is told to."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.effects: dict[str, Any] = {}
        self.answers: dict[str, Any] = {}
        self.trouble: list[Exception] = []

    def __call__(self, effect: Any) -> dict[str, Any]:
        self.asked.append(effect)
        if self.trouble:
            raise self.trouble.pop(0)
        self.effects.setdefault(effect.key, effect)
        answer = self.answers.get(effect.operation, {"done": effect.operation})
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    def of(self, operation: str) -> list[Any]:
        """The effects of one operation, each key once."""
        return [effect for effect in self.effects.values() if effect.operation == operation]


@pytest.fixture
def other_side() -> Recorder:
    """What service tasks reach."""
    return Recorder()


@pytest.fixture(scope="session")
def issuer() -> Any:
    """Signs the tests' tokens."""
    from theddt_identity.testing import Issuer

    return Issuer(algorithm="ES256")


@pytest.fixture
def services(other_side: Recorder, issuer: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The use cases; requests of Django's test client get the same ones."""
    from koolflows.config import wiring
    from koolflows.services import Outside, Services
    from theddt_identity import Verifier

    ways = dict.fromkeys(("pkakey", "notify", "webhook"), other_side)
    bound = Services(Outside(ways), Verifier(audience="koolflows", issuers=[issuer.trusted]))
    monkeypatch.setattr(wiring, "services", lambda: bound)
    return bound


class Flows:
    """The service with people in the namespace `default`; the clock is this object's `now`."""

    def __init__(self, services: Any, other_side: Recorder, now: datetime) -> None:
        self.services = services
        self.other_side = other_side
        self.now = now

    def person(self, name: str, *roles: str, namespace: str = "default") -> Any:
        """Return somebody with these roles."""
        from koolflows.services import Principal

        return Principal(subject=name, name=name.title(), namespace=namespace,
                         roles=frozenset(roles or ("pki-officer",)))  # fmt: skip

    def start(self, key: str, data: dict[str, Any], **options: Any) -> Any:
        """Start a process as a requester (or `principal`) and return its id."""
        principal = options.pop("principal", None) or self.person(
            "rita", "pki-requester", "pki-officer", "pki-admin"
        )
        return self.services.start(
            principal=principal, key=key, data=data, now=self.now, **options
        )[0]

    def deploy(
        self, *files: str, namespace: str = "default", **texts: str
    ) -> tuple[str, int, bool]:
        """Deploy texts as `name.bpmn`."""
        principal = self.person("dora", "pki-admin", namespace=namespace)
        bundle = {f"{name}.bpmn": text.encode() for name, text in texts.items()}
        bundle |= {f"file{index}.bpmn": text.encode() for index, text in enumerate(files)}
        found: tuple[str, int, bool] = self.services.deploy(
            principal=principal, files=bundle, now=self.now
        )
        return found

    def as_role(self, role: str) -> Any:
        """Return a context in which Django connects as another role."""
        from contextlib import contextmanager

        from django.db import connections

        @contextmanager
        def acting() -> Iterator[None]:
            default = connections["default"]
            before = default.settings_dict["USER"]
            default.close()
            default.settings_dict["USER"] = role
            try:
                yield
            finally:
                default.close()
                default.settings_dict["USER"] = before

        return acting()

    def work(self) -> int:
        """Let the worker work until nothing is due."""
        done = 0
        with self.as_role("koolflows_worker"):
            while count := (
                self.services.fire_due(now=self.now) + self.services.do_due_jobs(now=self.now)
            ):
                done += count
        return done

    def later(self, **span: float) -> int:
        """Let time pass, then let the worker work."""
        from datetime import timedelta

        self.now += timedelta(**span)
        return self.work()

    def task(self, instance_id: Any, element: str | None = None) -> Any:
        """Return an open task of a process."""
        from koolflows.store.context import acting_as, system
        from koolflows.store.tasks.models import HumanTask

        with acting_as(system("default")):
            found = HumanTask.objects.filter(instance_id=instance_id, state="open")
            if element is not None:
                found = found.filter(element=element)
            return found.order_by("created_at", "id").first()

    def decide(
        self, instance_id: Any, values: Any, *, by: str = "otto", element: str | None = None,
        roles: tuple[str, ...] = ("pki-officer", "pki-admin"),
    ) -> None:  # fmt: skip
        """Decide a process's open task."""
        if isinstance(values, str):
            values = {"outcome": values, "reason": "because"}
        task = self.task(instance_id, element)
        assert task is not None, "no open task"
        self.services.decide(
            principal=self.person(by, *roles), task_id=task.pk, values=values, now=self.now
        )

    def process(self, instance_id: Any) -> Any:
        """Return a process as an auditor sees it."""
        from koolflows.selectors.processes import get_process

        return get_process(self.person("audrey", "pki-auditor"), instance_id)

    def outcome(self, instance_id: Any) -> tuple[str, str]:
        """Return state and outcome of a process."""
        found = self.process(instance_id)
        return found.state, found.outcome or found.incident_code

    def kinds(self, instance_id: Any) -> list[str]:
        """Return the kinds of a process's history."""
        from koolflows.selectors.processes import list_history

        auditor = self.person("audrey", "pki-auditor")
        return [entry.kind for entry in list_history(auditor, instance_id)]


@pytest.fixture
def flows(transactional_db: None, services: Any, other_side: Recorder, now: datetime) -> Flows:
    """The service, empty."""
    return Flows(services, other_side, now)


@pytest.fixture
def shipped(flows: Flows) -> Flows:
    """The service with the shipped diagrams."""
    from pathlib import Path

    with flows.as_role("koolflows_worker"):
        flows.services.deploy_shipped(Path(__file__).parents[1] / "diagrams", now=flows.now)
    return flows
