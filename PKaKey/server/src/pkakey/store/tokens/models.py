"""API tokens; the plaintext is shown once and kept nowhere."""

from typing import ClassVar
from uuid import uuid4

from django.contrib.postgres.fields import ArrayField
from django.db import models

from pkakey.store.namespaces.models import Namespace


class Token(models.Model):
    """A bearer token of one namespace, found by its SHA-256.

    A plain digest is enough: a token has 256 random bits, so there is nothing to guess.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT)
    name = models.CharField(max_length=255)
    token_sha256 = models.BinaryField(unique=True)
    scopes = ArrayField(models.CharField(max_length=63))
    created_by = models.CharField(max_length=160)
    created_by_name = models.CharField(max_length=256)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        """Newest first."""

        db_table = "tokens_token"
        indexes: ClassVar = [models.Index(fields=["namespace", "-created_at"])]

    def __str__(self) -> str:
        return self.name
