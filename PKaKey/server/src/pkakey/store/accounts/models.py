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
