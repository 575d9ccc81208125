"""Row-level security, the rules that hold for everybody, and every grant."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql" / "security.sql"


class Migration(migrations.Migration):
    """Last of the first migrations: it speaks of the tables of all the others."""

    dependencies = [
        ("history", "0001_initial"),
        ("definitions", "0001_initial"),
        ("instances", "0001_initial"),
        ("tasks", "0001_initial"),
        ("jobs", "0001_initial"),
    ]
    operations = [migrations.RunSQL(SQL.read_text(), migrations.RunSQL.noop)]
