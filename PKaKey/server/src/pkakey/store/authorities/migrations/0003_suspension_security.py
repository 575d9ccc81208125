"""Row-level security and rights of what `0002_suspension` made."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql" / "suspension.sql"


class Migration(migrations.Migration):
    """After the certificates' own, which make the functions that this speaks of."""

    dependencies = [("authorities", "0002_suspension"), ("certificates", "0002_security")]
    operations = [migrations.RunSQL(SQL.read_text(), migrations.RunSQL.noop)]
