"""Certification authorities and what they publish. Their keys are in the signer."""

from typing import ClassVar
from uuid import uuid4

from django.db import models

from pkakey.store.namespaces.models import Namespace


class Authority(models.Model):
    """A certification authority; without a certificate while it is being created.

    The four hashes are those that an OCSP CertID names it by (RFC 6960 section 4.1.1): of the
    subject's DER and of the public key's BIT STRING.
    """

    PREPARING = "preparing"
    ACTIVE = "active"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True)
    name = models.CharField(max_length=255)
    profile = models.CharField(max_length=63)
    key_id = models.UUIDField(unique=True)
    algorithm = models.CharField(max_length=31)
    state = models.CharField(max_length=15, default=PREPARING)
    # Raised by each change that in-process caches must see.
    version = models.PositiveIntegerField(default=1)
    subject = models.TextField(blank=True)
    certificate_der = models.BinaryField(null=True)
    serial_number = models.CharField(max_length=40, null=True)
    not_before = models.DateTimeField(null=True)
    not_after = models.DateTimeField(null=True)
    name_sha1 = models.BinaryField(null=True)
    key_sha1 = models.BinaryField(null=True)
    name_sha256 = models.BinaryField(null=True)
    key_sha256 = models.BinaryField(null=True)
    last_crl_number = models.BigIntegerField(default=0)
    # It issues nothing while it is suspended; its CRLs and OCSP responses go on.
    suspended_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        """One authority of each name in a namespace."""

        db_table = "authorities_authority"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["namespace", "name"], name="authority_name_once")
        ]

    def __str__(self) -> str:
        return self.name


class AuthorityAct(models.Model):
    """What a process of KoolFlows has done to an authority: each step once, however often asked."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="+")
    authority = models.ForeignKey(Authority, on_delete=models.PROTECT)
    process_id = models.UUIDField()
    act = models.CharField(max_length=31)
    at = models.DateTimeField()

    class Meta:
        """A process does each of its acts once."""

        db_table = "authorities_act"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["namespace", "process_id", "act", "authority"], name="authority_act_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.act} {self.authority_id}"


class AuthorityGrant(models.Model):
    """Another namespace may see this authority and issue from it."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="+")
    authority = models.ForeignKey(Authority, on_delete=models.PROTECT)
    granted_namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        """`namespace` is the authority's own: only its owner can grant it."""

        db_table = "authorities_grant"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["authority", "granted_namespace"], name="authority_grant_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.authority_id} for {self.granted_namespace_id}"


class OCSPResponder(models.Model):
    """A delegated responder (RFC 6960 section 4.2.2.2); the newest active one answers."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT)
    authority = models.ForeignKey(Authority, on_delete=models.PROTECT)
    key_id = models.UUIDField(unique=True)
    certificate_der = models.BinaryField()
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()

    class Meta:
        """Found by authority, newest first."""

        db_table = "authorities_ocspresponder"
        indexes: ClassVar = [models.Index(fields=["authority", "-not_before"])]

    def __str__(self) -> str:
        return f"responder of {self.authority_id} until {self.not_after}"


class CRL(models.Model):
    """A signed certificate revocation list; the highest number is the current one."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT)
    authority = models.ForeignKey(Authority, on_delete=models.PROTECT)
    number = models.BigIntegerField()
    der = models.BinaryField()
    revoked_count = models.BigIntegerField()
    this_update = models.DateTimeField()
    next_update = models.DateTimeField()

    class Meta:
        """Numbers only rise (RFC 5280 section 5.2.3)."""

        db_table = "authorities_crl"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["authority", "number"], name="crl_number_once")
        ]

    def __str__(self) -> str:
        return f"CRL {self.number} of {self.authority_id}"
