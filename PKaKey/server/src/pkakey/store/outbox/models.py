"""Events, written in the same commit as what they tell."""

from typing import ClassVar
from uuid import uuid4

from django.db import models

from pkakey.store.namespaces.models import Namespace


class Event(models.Model):
    """One event; the relay sends it at least once and then sets `delivered_at`."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    number = models.BigIntegerField(unique=True)
    # Without the database's constraints: on this path each would lock the one row of the namespace
    # or authority in every commit (docs/performance.md). Nobody can delete those rows.
    namespace = models.ForeignKey(
        Namespace, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    type = models.CharField(max_length=63)
    version = models.PositiveSmallIntegerField()
    actor_kind = models.CharField(max_length=15)
    actor_id = models.CharField(max_length=128)
    actor_name = models.CharField(max_length=256)
    payload = models.JSONField()
    occurred_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        """What waits, oldest first."""

        db_table = "outbox_event"
        indexes: ClassVar = [
            models.Index(
                fields=["number"],
                name="outbox_waiting",
                condition=models.Q(delivered_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"
