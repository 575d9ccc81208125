"""Authorities that are suspended, and what processes have done about it."""

import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """A moment on the authority, and a table of acts; its rights follow in `certificates`."""

    dependencies = [("authorities", "0001_initial"), ("namespaces", "0001_initial")]
    operations = [
        migrations.AddField("authority", "suspended_at", models.DateTimeField(null=True)),
        migrations.CreateModel(
            name="AuthorityAct",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("process_id", models.UUIDField()),
                ("act", models.CharField(max_length=31)),
                ("at", models.DateTimeField()),
                ("authority", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="authorities.authority")),
                ("namespace", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="namespaces.namespace")),
            ],
            options={
                "db_table": "authorities_act",
                "constraints": [models.UniqueConstraint(fields=("namespace", "process_id", "act", "authority"), name="authority_act_once")],
            },
        ),
    ]
