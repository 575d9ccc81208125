"""What monitoring asks about the inventory: how many events wait for it, and since when."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql" / "inventory_figures.sql"


class Migration(migrations.Migration):
    """One function beside `status.platform_figures`."""

    dependencies = [("outbox", "0003_inventory")]
    operations = [migrations.RunSQL(SQL.read_text(), migrations.RunSQL.noop)]
