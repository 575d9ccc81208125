"""Versioned profiles; a version never changes."""

from typing import ClassVar
from uuid import uuid4

from django.db import models

from pkakey.store.namespaces.models import Namespace


class Profile(models.Model):
    """One version of a profile; `is_current` marks the one that new certificates use."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT)
    name = models.CharField(max_length=63)
    version = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    data = models.JSONField()
    is_current = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    class Meta:
        """One current version of each name."""

        db_table = "profiles_profile"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["namespace", "name", "version"], name="profile_version_once"
            ),
            models.UniqueConstraint(
                fields=["namespace", "name"],
                condition=models.Q(is_current=True),
                name="profile_one_current",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"
