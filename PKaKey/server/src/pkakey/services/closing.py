"""What closes a request that needed an approval, whichever way allowed it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pkakey_engine.issuance import IntendedCertificate

from pkakey.selectors.values import names_to_text
from pkakey.services import requests
from pkakey.services.errors import Conflict
from pkakey.services.principals import Principal
from pkakey.services.records import record
from pkakey.store.context import acting_as
from pkakey.store.requests.models import CertificateRequest

ISSUED: Final = "issued"
REFUSED: Final = "refused"
FAILED: Final = "failed"
OPEN: Final = {requests.RECORDED, requests.WAITING}


@dataclass(frozen=True, slots=True)
class Allowed:
    """The process that allows it: its diagram and version, the way it took, who decided."""

    id: UUID
    diagram: str
    version: int
    sha256: str
    namespace: str
    path: list[str] = field(default_factory=list)
    deciders: list[Mapping[str, Any]] = field(default_factory=list)


def in_requesters_name(principal: Principal, row: CertificateRequest) -> Principal:
    """Return who acts when the certificate is issued: this request, in its requester's name."""
    return Principal(
        kind="system",
        id=f"request:{row.id}",
        name=row.requester_name,
        namespace_id=principal.namespace_id,
        namespace=principal.namespace,
    )


def require_same(row: CertificateRequest, intended: IntendedCertificate) -> None:
    """Raise when the certificate to be signed is not the one that was approved."""
    validity = int((intended.not_after - intended.not_before).total_seconds())
    approved = (
        row.profile, row.profile_version, row.profile_digest, row.subject, list(row.names),
        row.public_key_sha256, row.validity_seconds,
    )  # fmt: skip
    found = (
        intended.profile_name, intended.profile_version, intended.profile_digest,
        intended.subject, names_to_text(intended.names), intended.public_key_sha256, validity,
    )  # fmt: skip
    if approved != found:
        raise Conflict(
            "request.changed",
            "The profile or the authority has changed since this was approved, so that another "
            "certificate would come of it. The request is made anew.",
        )


def close(
    principal: Principal,
    row: CertificateRequest,
    allowed: Allowed,
    now: datetime,
    *,
    state: str,
    reason: str = "",
    certificate_id: UUID | None = None,
) -> None:
    """Close the request once, with what allowed it; raises `Conflict` when it is over already."""
    with acting_as(principal):
        changed = CertificateRequest.objects.filter(pk=row.pk, state__in=OPEN).update(
            state=state,
            process_id=allowed.id,
            diagram_version=allowed.version,
            diagram_sha256=allowed.sha256,
            path=allowed.path,
            deciders=allowed.deciders,
            reason=reason,
            certificate_id=certificate_id,
            closed_at=now,
        )
        if not changed:
            there = CertificateRequest.objects.values_list("state", flat=True).get(pk=row.pk)
            if there == state:
                return
            raise Conflict("request.not-waiting", f"This request is {there} already.")
        record(
            principal=principal,
            now=now,
            action=f"request.{state}",
            target=str(row.pk),
            details={**told(allowed), "sha256": row.sha256, "reason": reason,
                     "certificate": str(certificate_id) if certificate_id else None},
        )  # fmt: skip


def told(allowed: Allowed) -> dict[str, Any]:
    """Return the process as the audit log keeps it."""
    return {
        "process": str(allowed.id),
        "diagram": allowed.diagram,
        "diagram_version": allowed.version,
        "diagram_sha256": allowed.sha256,
        "path": allowed.path,
        "deciders": allowed.deciders,
    }


def reason_of(error: Exception) -> str:
    """Return why a request failed, in the words that its requester reads."""
    return str(getattr(error, "detail", "") or error)[:1000]
