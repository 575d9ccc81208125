"""Processes and what they wait for."""

from typing import ClassVar
from uuid import uuid4

from django.db import models

from koolflows.store.definitions.models import Version


class Instance(models.Model):
    """One process; `revision` grows by one with each saved state (optimistic locking)."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    namespace = models.CharField(max_length=63)
    version = models.ForeignKey(Version, on_delete=models.PROTECT)
    key = models.CharField(max_length=100)
    business_key = models.CharField(max_length=200, default="")
    title = models.CharField(max_length=300, default="")
    state = models.CharField(max_length=15)
    outcome = models.CharField(max_length=100, default="")
    revision = models.PositiveIntegerField(default=1)
    content = models.TextField()
    data = models.JSONField(default=dict)
    next_due_at = models.DateTimeField(null=True)
    incident_code = models.CharField(max_length=60, default="")
    incident_detail = models.CharField(max_length=500, default="")
    started_by = models.CharField(max_length=128)
    started_by_name = models.CharField(max_length=200)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    idempotency_key = models.CharField(max_length=255, null=True)

    class Meta:
        """What is due, what is new, what is asked for by its key."""

        db_table = "instances_instance"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["namespace", "idempotency_key"], name="instances_idempotency"
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["next_due_at"],
                name="instances_due",
                condition=models.Q(state="running", next_due_at__isnull=False),
            ),
            models.Index(fields=["namespace", "-started_at", "id"], name="instances_newest"),
            models.Index(fields=["namespace", "business_key"], name="instances_business_key"),
        ]

    def __str__(self) -> str:
        return f"{self.key} {self.id}"


class Subscription(models.Model):
    """A message that a running process waits for."""

    id = models.BigAutoField(primary_key=True)
    namespace = models.CharField(max_length=63)
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE)
    name = models.CharField(max_length=100)
    business_key = models.CharField(max_length=200)

    class Meta:
        """Found by the message's name and key."""

        db_table = "instances_subscription"
        indexes: ClassVar = [
            models.Index(fields=["namespace", "name", "business_key"], name="instances_waits_for")
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.business_key}"


class Delivery(models.Model):
    """A message that was delivered, by its sender's id: the same one again changes nothing."""

    id = models.BigAutoField(primary_key=True)
    namespace = models.CharField(max_length=63)
    message_id = models.CharField(max_length=255)
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE)
    at = models.DateTimeField()

    class Meta:
        """One id once."""

        db_table = "instances_delivery"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["namespace", "message_id"], name="instances_delivered")
        ]

    def __str__(self) -> str:
        return self.message_id
