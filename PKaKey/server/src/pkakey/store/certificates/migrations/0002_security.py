"""Row-level security, the SQL functions of the hot path, and every grant of the domain tables."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


def _run(name):
    return migrations.RunSQL((SQL / f"{name}.sql").read_text(), migrations.RunSQL.noop)


class Migration(migrations.Migration):
    """Last of the first migrations: it speaks of the tables of all the others."""

    dependencies = [
        ("certificates", "0001_initial"),
        ("accounts", "0001_initial"),
        ("namespaces", "0001_initial"),
        ("profiles", "0001_initial"),
        ("authorities", "0001_initial"),
        ("tokens", "0001_initial"),
        ("audit", "0001_initial"),
        ("outbox", "0001_initial"),
    ]
    operations = [
        _run(name) for name in ("row_security", "acting", "issuance", "outward", "grants")
    ]
