"""Deployed diagrams. A version is written once; the database refuses to change or delete it."""

from typing import ClassVar
from uuid import uuid4

from django.db import models


class Version(models.Model):
    """One version of a diagram; namespace `*` is for everybody to read."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    namespace = models.CharField(max_length=63)
    key = models.CharField(max_length=100)
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    files = models.JSONField()
    facts = models.JSONField()
    specification = models.TextField()
    deployed_by = models.CharField(max_length=128)
    deployed_by_name = models.CharField(max_length=200)
    deployed_at = models.DateTimeField()

    class Meta:
        """One number once."""

        db_table = "definitions_version"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["namespace", "key", "number"], name="definitions_version_number"
            )
        ]

    def __str__(self) -> str:
        return f"{self.key} {self.number}"
