"""The request's id beside each event, and the figures that monitoring asks for."""

from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    """Speaks of tables of other apps, as `certificates.0002_security` does."""

    dependencies = [
        ("outbox", "0001_initial"),
        ("certificates", "0002_security"),
    ]
    operations = [
        migrations.AddField(
            model_name="event",
            name="request_id",
            field=models.CharField(db_default="", default="", max_length=64),
        ),
        migrations.RunSQL((SQL / "record.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((SQL / "figures.sql").read_text(), migrations.RunSQL.noop),
    ]
