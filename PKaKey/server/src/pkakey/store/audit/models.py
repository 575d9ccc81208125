"""The audit log: a trigger refuses every change of an entry."""

from typing import ClassVar

from django.db import models

from pkakey.store.namespaces.models import Namespace


class Entry(models.Model):
    """One act. `data` is the exact JSON text whose RFC 9162 leaf hash is `leaf_hash`."""

    id = models.BigAutoField(primary_key=True)
    # Without the database's constraints: on this path each would lock the one row of the namespace
    # or authority in every commit (docs/performance.md). Nobody can delete those rows.
    namespace = models.ForeignKey(
        Namespace, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    at = models.DateTimeField()
    action = models.CharField(max_length=63)
    actor_kind = models.CharField(max_length=15)
    actor_id = models.CharField(max_length=128)
    actor_name = models.CharField(max_length=256)
    target = models.CharField(max_length=256)
    request_id = models.CharField(max_length=64)
    data = models.TextField()
    leaf_hash = models.BinaryField()

    class Meta:
        """Newest first within a namespace."""

        db_table = "audit_entry"
        indexes: ClassVar = [models.Index(fields=["namespace", "-id"], name="audit_newest")]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"
