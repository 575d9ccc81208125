"""An index of the few requests that are recorded and not yet under way."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """One partial index."""

    dependencies = [("requests", "0003_grants")]
    operations = [
        migrations.AddIndex(
            model_name="certificaterequest",
            index=models.Index(
                fields=["namespace", "created_at"],
                condition=models.Q(state="recorded"),
                name="request_recorded",
            ),
        ),
    ]
