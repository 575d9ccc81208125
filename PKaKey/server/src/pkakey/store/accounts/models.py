"""The user of the portal."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A person. Roles are groups; memberships tell in which namespaces they hold."""

    must_change_password = models.BooleanField(
        default=False,
        help_text="Set for one-time passwords: the next sign-in leads to the change form.",
    )

    class Meta(AbstractUser.Meta):
        """Named explicitly, since other services may read it."""

        db_table = "accounts_user"

    REQUIRED_FIELDS: ClassVar[list[str]] = ["email"]


class SignIn(models.Model):
    """A session that hangs on a sign-in at the provider, so that its end there ends it here."""

    session_key = models.CharField(max_length=40, primary_key=True)
    subject = models.CharField(max_length=255)
    provider_session = models.CharField(max_length=255, blank=True)
    expires_at = models.DateTimeField()

    class Meta:
        """Found by the provider's session or by its subject."""

        db_table = "accounts_sign_in"
        indexes: ClassVar = [
            models.Index(fields=["provider_session"], name="sign_in_by_session"),
            models.Index(fields=["subject"], name="sign_in_by_subject"),
            models.Index(fields=["expires_at"], name="sign_in_by_end"),
        ]

    def __str__(self) -> str:
        return self.subject
