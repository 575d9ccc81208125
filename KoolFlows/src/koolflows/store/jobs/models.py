"""The outbox of service tasks, written in the same commit as the state that waits for them."""

from typing import ClassVar

from django.db import models

from koolflows.store.instances.models import Instance


class Job(models.Model):
    """One thing to do outside. Its id is the idempotency key; it depends on the token alone."""

    id = models.UUIDField(primary_key=True, editable=False)
    namespace = models.CharField(max_length=63)
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE)
    task_id = models.UUIDField(null=True)
    element = models.CharField(max_length=100)
    operation = models.CharField(max_length=60)
    parameters = models.JSONField()
    state = models.CharField(max_length=15)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    last_error = models.CharField(max_length=500, default="")
    result = models.JSONField(null=True)
    created_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)

    class Meta:
        """What waits, earliest first."""

        db_table = "jobs_job"
        indexes: ClassVar = [
            models.Index(
                fields=["next_attempt_at"],
                name="jobs_waiting",
                condition=models.Q(state="waiting"),
            ),
            models.Index(fields=["instance", "created_at"], name="jobs_of_instance"),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.id}"
