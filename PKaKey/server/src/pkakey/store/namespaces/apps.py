"""Registers the namespaces tables with Django, and grants what no migration of ours makes."""

from typing import Any

from django.apps import AppConfig, apps
from django.db import connections
from django.db.models.signals import post_migrate


class NamespacesConfig(AppConfig):
    """The app of the namespaces tables."""

    name = "pkakey.store.namespaces"
    label = "namespaces"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Grant the global tables after each migration."""
        post_migrate.connect(grant_global_tables, sender=self)


def grant_global_tables(*, using: str, **_: Any) -> None:  # noqa: ANN401  # Django's signal.
    """Let the web and worker roles use the tables outside of namespaces.

    Those of Django, allauth, Wagtail and the portal's pages (docs/adr/0003 says why they stand
    outside). The tables of `pkakey.store` are granted one by one in their migrations.
    """
    connection = connections[using]
    existing = set(connection.introspection.table_names())
    names = sorted(
        {
            model._meta.db_table  # noqa: SLF001  # Django's documented name for it.
            for model in apps.get_models(include_auto_created=True)
            if model._meta.managed and _is_global(model.__module__)  # noqa: SLF001
        }
        & existing
    )
    with connection.cursor() as cursor:
        tables = ", ".join(connection.ops.quote_name(name) for name in names)
        cursor.execute(
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO pkakey_web, pkakey_worker"
        )
        # So that a process can tell that its tables are of another version.
        cursor.execute("GRANT SELECT ON django_migrations TO pkakey_web, pkakey_worker")


def _is_global(module: str) -> bool:
    return not module.startswith("pkakey.store.") or module.startswith("pkakey.store.accounts")
