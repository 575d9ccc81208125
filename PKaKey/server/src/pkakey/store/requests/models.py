"""Requests that wait for an approval (docs/flows/approval.md).

What a request asks for never changes, which a trigger holds: an approval is for exactly that.
"""

from typing import ClassVar
from uuid import uuid4

from django.contrib.postgres.fields import ArrayField
from django.db import models

from pkakey.store.certificates.models import Certificate
from pkakey.store.namespaces.models import Namespace


class CertificateRequest(models.Model):
    """One request: what was asked, by whom, and what became of it.

    `sha256` is over everything that is approved. `state`: recorded (KoolFlows was not told yet),
    not-started (it could not be told), waiting, issued, refused, failed.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT)
    sha256 = models.CharField(max_length=64)
    csr_der = models.BinaryField()
    profile = models.CharField(max_length=63)
    profile_version = models.PositiveIntegerField()
    profile_digest = models.CharField(max_length=64)
    authority_id = models.UUIDField()
    subject = models.TextField()
    names = ArrayField(models.TextField())
    public_key_sha256 = models.CharField(max_length=64)
    validity_seconds = models.PositiveIntegerField()
    diagram = models.CharField(max_length=100)
    source = models.CharField(max_length=15)
    requester_kind = models.CharField(max_length=15)
    requester_id = models.CharField(max_length=128)
    requester_name = models.CharField(max_length=256)
    # Under which KoolFlows knows the requester; a token's is that of the person who made it.
    requester_subject = models.CharField(max_length=128)
    idempotency_key = models.CharField(max_length=255, null=True)
    created_at = models.DateTimeField()

    state = models.CharField(max_length=15)
    process_id = models.UUIDField(null=True)
    diagram_version = models.PositiveIntegerField(null=True)
    diagram_sha256 = models.CharField(max_length=64, null=True)
    path = models.JSONField(default=list)
    deciders = models.JSONField(default=list)
    reason = models.TextField(blank=True)
    certificate = models.ForeignKey(Certificate, on_delete=models.PROTECT, null=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        """Newest first; a key is one requester's own; one request for each certificate."""

        db_table = "requests_request"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["namespace", "requester_kind", "requester_id", "idempotency_key"],
                name="request_key_once",
            ),
            models.UniqueConstraint(fields=["certificate"], name="request_certificate_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["namespace", "-created_at", "-id"], name="request_newest"),
            models.Index(fields=["namespace", "process_id"], name="request_process"),
            # Few at any time; the reconciler looks for them every minute.
            models.Index(
                fields=["namespace", "created_at"],
                condition=models.Q(state="recorded"),
                name="request_recorded",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.state}"


class Grant(models.Model):
    """Names that need no further approval under a profile until a date; a process allowed it.

    Nothing of it changes but `withdrawn_at`, once. One process records one grant.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT)
    # A name, or `*.` and the name above it: one label, as in a certificate (RFC 6125).
    pattern = models.CharField(max_length=255)
    profile = models.CharField(max_length=63)
    until = models.DateTimeField()
    process_id = models.UUIDField()
    diagram = models.CharField(max_length=100)
    diagram_version = models.PositiveIntegerField()
    diagram_sha256 = models.CharField(max_length=64)
    path = models.JSONField()
    deciders = models.JSONField()
    created_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        """Asked for by profile."""

        db_table = "requests_grant"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["namespace", "process_id"], name="grant_process_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["namespace", "profile", "until"], name="grant_profile"),
        ]

    def __str__(self) -> str:
        return f"{self.pattern} under {self.profile}"
