"""What happened to a process; the database refuses to change or delete a line."""

from typing import ClassVar

from django.db import models

from koolflows.store.instances.models import Instance


class Entry(models.Model):
    """One line: when, what, on which element, by whom."""

    id = models.BigAutoField(primary_key=True)
    namespace = models.CharField(max_length=63)
    instance = models.ForeignKey(Instance, on_delete=models.PROTECT)
    at = models.DateTimeField()
    kind = models.CharField(max_length=30)
    element = models.CharField(max_length=100, default="")
    actor = models.CharField(max_length=128)
    actor_name = models.CharField(max_length=200)
    request_id = models.CharField(max_length=64, default="")
    data = models.JSONField(default=dict)

    class Meta:
        """Read by process, in order."""

        db_table = "history_entry"
        indexes: ClassVar = [models.Index(fields=["instance", "id"], name="history_of_instance")]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
