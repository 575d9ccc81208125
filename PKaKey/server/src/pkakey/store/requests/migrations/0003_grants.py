"""Grants: names that need no further approval, with row-level security."""

import uuid
from pathlib import Path

import django.db.models.deletion
from django.db import migrations, models

SQL = Path(__file__).parent / "sql" / "grants.sql"


class Migration(migrations.Migration):
    """One table, and what never changes of it."""

    dependencies = [("requests", "0002_security"), ("namespaces", "0002_leaving")]
    operations = [
        migrations.CreateModel(
            name="Grant",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("pattern", models.CharField(max_length=255)),
                ("profile", models.CharField(max_length=63)),
                ("until", models.DateTimeField()),
                ("process_id", models.UUIDField()),
                ("diagram", models.CharField(max_length=100)),
                ("diagram_version", models.PositiveIntegerField()),
                ("diagram_sha256", models.CharField(max_length=64)),
                ("path", models.JSONField()),
                ("deciders", models.JSONField()),
                ("created_at", models.DateTimeField()),
                ("withdrawn_at", models.DateTimeField(null=True)),
                ("namespace", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="namespaces.namespace")),
            ],
            options={
                "db_table": "requests_grant",
                "indexes": [models.Index(fields=["namespace", "profile", "until"], name="grant_profile")],
                "constraints": [models.UniqueConstraint(fields=("namespace", "process_id"), name="grant_process_once")],
            },
        ),
        migrations.RunSQL(SQL.read_text(), migrations.RunSQL.noop),
    ]
