"""Row-level security and grants of the requests, and what never changes of one."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql" / "security.sql"


class Migration(migrations.Migration):
    """After the certificates' own, which make the functions that this speaks of."""

    dependencies = [("requests", "0001_initial"), ("certificates", "0002_security")]
    operations = [migrations.RunSQL(SQL.read_text(), migrations.RunSQL.noop)]
