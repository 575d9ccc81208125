"""Sessions that hang on a sign-in at Keycloak."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Its end there ends them here; the row belongs to a session, not to a namespace."""

    dependencies = [("accounts", "0002_roles")]
    operations = [
        migrations.CreateModel(
            name="SignIn",
            fields=[
                (
                    "session_key",
                    models.CharField(max_length=40, primary_key=True, serialize=False),
                ),
                ("subject", models.CharField(max_length=255)),
                ("provider_session", models.CharField(blank=True, max_length=255)),
                ("expires_at", models.DateTimeField()),
            ],
            options={
                "db_table": "accounts_sign_in",
                "indexes": [
                    models.Index(fields=["provider_session"], name="sign_in_by_session"),
                    models.Index(fields=["subject"], name="sign_in_by_subject"),
                    models.Index(fields=["expires_at"], name="sign_in_by_end"),
                ],
            },
        ),
    ]
