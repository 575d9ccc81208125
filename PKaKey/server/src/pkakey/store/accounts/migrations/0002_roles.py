"""The roles of the platform, as groups."""

from django.db import migrations

ROLES = (
    "pki-admin",
    "pki-officer",
    "pki-auditor",
    "pki-requester",
    "db-admin",
    "content-editor",
)


def create_roles(apps, schema_editor):
    """Create the groups that are missing."""
    group = apps.get_model("auth", "Group")
    for name in ROLES:
        group.objects.get_or_create(name=name)


class Migration(migrations.Migration):
    """`store.context.PERMISSIONS_OF_ROLE` says what each role permits."""

    dependencies = [("accounts", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]
    operations = [migrations.RunPython(create_roles, migrations.RunPython.noop)]
