"""Human tasks: who may decide, until when, and what was decided."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from koolflows.store.instances.models import Instance


class HumanTask(models.Model):
    """One task; its id is the token's id in the process's state."""

    id = models.UUIDField(primary_key=True, editable=False)
    namespace = models.CharField(max_length=63)
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE)
    element = models.CharField(max_length=100)
    name = models.CharField(max_length=200)
    title = models.CharField(max_length=300)
    state = models.CharField(max_length=15)
    roles = ArrayField(models.CharField(max_length=50))
    assignee = models.CharField(max_length=128, null=True)
    assignee_name = models.CharField(max_length=200, default="")
    excluded = ArrayField(models.CharField(max_length=128))
    data = models.JSONField()
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    completed_by = models.CharField(max_length=128, null=True)
    completed_by_name = models.CharField(max_length=200, default="")
    decision = models.JSONField(null=True)

    class Meta:
        """The inbox: what is open, oldest first."""

        db_table = "tasks_humantask"
        indexes: ClassVar = [
            models.Index(
                fields=["namespace", "created_at", "id"],
                name="tasks_open",
                condition=models.Q(state="open"),
            ),
            models.Index(
                fields=["namespace", "assignee", "created_at"],
                name="tasks_assigned",
                condition=models.Q(state="open", assignee__isnull=False),
            ),
            models.Index(
                fields=["namespace", "due_at"],
                name="tasks_overdue",
                condition=models.Q(state="open", due_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.id}"
