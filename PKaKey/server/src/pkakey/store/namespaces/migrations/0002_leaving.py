"""Who moves to another namespace leaves the old one."""

from django.db import migrations


class Migration(migrations.Migration):
    """Row-level security lets a role delete in the namespace that it acts in, and nowhere else."""

    dependencies = [("namespaces", "0001_initial"), ("certificates", "0002_security")]
    operations = [
        migrations.RunSQL(
            "GRANT DELETE ON namespaces_membership TO pkakey_web, pkakey_worker",
            "REVOKE DELETE ON namespaces_membership FROM pkakey_web, pkakey_worker",
        )
    ]
