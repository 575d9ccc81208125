"""The outbox also feeds PeSequel's inventory: every audit entry, every event, marked by batch."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql" / "inventory.sql"


class Migration(migrations.Migration):
    """Columns and functions that only the relay's SQL uses, so the models do not name them."""

    dependencies = [("outbox", "0002_watching"), ("certificates", "0002_security")]
    operations = [migrations.RunSQL(SQL.read_text(), migrations.RunSQL.noop)]
