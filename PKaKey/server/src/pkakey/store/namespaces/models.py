"""The owner of every row, and who belongs to it."""

from typing import ClassVar
from uuid import uuid4

from django.conf import settings
from django.db import models


class Namespace(models.Model):
    """One team's own part of the platform."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    slug = models.CharField(max_length=63, unique=True)
    name = models.CharField(max_length=255)
    # Not a foreign key: authorities belong to namespaces, and a circle of apps has no first one.
    default_authority_id = models.UUIDField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        """A row is visible in its own namespace only."""

        db_table = "namespaces_namespace"

    def __str__(self) -> str:
        return self.slug


class Membership(models.Model):
    """A person may act in this namespace, with the roles that their groups give."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    created_at = models.DateTimeField()

    class Meta:
        """Once per person and namespace."""

        db_table = "namespaces_membership"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["namespace", "user"], name="membership_once")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.namespace_id}"
