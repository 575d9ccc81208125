"""Intents, certificates, idempotency keys and the expiry notices that were given.

Only the SQL functions beside the migrations write these tables: the processes' roles may read
them, and nothing else.
"""

from typing import ClassVar
from uuid import uuid4

from django.contrib.postgres.fields import ArrayField
from django.db import models

from pkakey.store.authorities.models import Authority
from pkakey.store.namespaces.models import Namespace


class Intent(models.Model):
    """What is about to be signed, committed before any key is used (docs/flows/issuance.md).

    `names` are `kind:value`. `state`: open, completed, abandoned.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    # Without the database's constraints: on this path each would lock the one row of the namespace
    # or authority in every commit (docs/performance.md). Nobody can delete those rows.
    namespace = models.ForeignKey(
        Namespace, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    authority = models.ForeignKey(
        Authority, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    authority_key_id = models.UUIDField()
    kind = models.CharField(max_length=15)
    purpose = models.CharField(max_length=31)
    # The authority or responder that a certificate of such a purpose is for.
    beneficiary_id = models.UUIDField(null=True)
    state = models.CharField(max_length=15)
    tbs = models.BinaryField()
    tbs_sha256 = models.BinaryField()
    serial_number = models.CharField(max_length=40)
    subject = models.TextField()
    names = ArrayField(models.TextField())
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    public_key_sha256 = models.CharField(max_length=64)
    profile = models.CharField(max_length=63)
    profile_version = models.PositiveIntegerField()
    request_der = models.BinaryField()
    source = models.CharField(max_length=15)
    actor_kind = models.CharField(max_length=15)
    actor_id = models.CharField(max_length=128)
    actor_name = models.CharField(max_length=256)
    request_id = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    note = models.TextField(blank=True)

    class Meta:
        """A serial number is intended once per authority and kind."""

        db_table = "certificates_intent"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["authority", "kind", "serial_number"], name="intent_serial_once"
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["created_at"], name="intent_open", condition=models.Q(state="open")
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.serial_number} {self.state}"


class Certificate(models.Model):
    """A certificate that was issued; its id is its intent's."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    # Without the database's constraints: on this path each would lock the one row of the namespace
    # or authority in every commit (docs/performance.md). Nobody can delete those rows.
    namespace = models.ForeignKey(
        Namespace, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    authority = models.ForeignKey(
        Authority, on_delete=models.PROTECT, db_constraint=False, db_index=False
    )
    serial_number = models.CharField(max_length=40)
    der = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    purpose = models.CharField(max_length=31)
    subject = models.TextField()
    names = ArrayField(models.TextField())
    # Upper-case names, subject and serial number, for the trigram index.
    search_text = models.TextField()
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    public_key_sha256 = models.CharField(max_length=64)
    profile = models.CharField(max_length=63)
    profile_version = models.PositiveIntegerField()
    source = models.CharField(max_length=15)
    requested_by = models.CharField(max_length=256)
    issued_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    revocation_reason = models.CharField(max_length=31, null=True)

    class Meta:
        """Indexed for what the list asks: newest first, ending soon, one serial number."""

        db_table = "certificates_certificate"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["authority", "serial_number"], name="certificate_serial_once"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["namespace", "-issued_at", "-id"], name="certificate_newest"),
            models.Index(fields=["namespace", "not_after"], name="certificate_ending"),
            models.Index(fields=["serial_number"], name="certificate_serial"),
            models.Index(
                fields=["authority"],
                name="certificate_revoked",
                condition=models.Q(revoked_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.serial_number} {self.subject}"


class IdempotencyKey(models.Model):
    """The Idempotency-Key of one request, and which intent it made."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT)
    actor_id = models.CharField(max_length=160)
    key = models.CharField(max_length=255)
    request_sha256 = models.BinaryField()
    intent = models.ForeignKey(Intent, on_delete=models.PROTECT)
    created_at = models.DateTimeField()

    class Meta:
        """A key is one actor's own."""

        db_table = "certificates_idempotencykey"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["namespace", "actor_id", "key"], name="idempotency_key_once"
            )
        ]

    def __str__(self) -> str:
        return self.key


class ExpiryNotice(models.Model):
    """That a certificate's coming end was announced, so that it is announced once."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT)
    certificate = models.ForeignKey(Certificate, on_delete=models.PROTECT)
    days = models.PositiveSmallIntegerField()
    announced_at = models.DateTimeField()

    class Meta:
        """Once for each number of days."""

        db_table = "certificates_expirynotice"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["certificate", "days"], name="expiry_notice_once")
        ]

    def __str__(self) -> str:
        return f"{self.certificate_id} in {self.days} days"
