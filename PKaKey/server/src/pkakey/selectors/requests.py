"""Requests that need an approval: one, a page of them, the one behind a certificate."""

from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from pkakey.selectors.results import RequestItem
from pkakey.selectors.values import names_from_text
from pkakey.store.context import Principal, acting_as, require
from pkakey.store.errors import NotFound
from pkakey.store.requests.models import CertificateRequest


def get_request(principal: Principal, request_id: UUID) -> RequestItem:
    """Return a request; who may not read certificates sees their own. Raises `NotFound`."""
    with acting_as(principal):
        row = _visible(principal).filter(pk=request_id).first()
        if row is None:
            raise NotFound("request")
        return summary(row)


def list_requests(
    principal: Principal, *, state: str | None, before: datetime | None, limit: int
) -> tuple[RequestItem, ...]:
    """Return requests, newest first."""
    with acting_as(principal):
        found = _visible(principal).order_by("-created_at", "-id")
        if state:
            found = found.filter(state=state)
        if before:
            found = found.filter(created_at__lt=before)
        return tuple(summary(row) for row in found[:limit])


def request_of_process(principal: Principal, process_id: UUID) -> RequestItem | None:
    """Return the request that a process decides about, if it is one and may be seen."""
    with acting_as(principal):
        # A grant's process is behind many requests, and decides about none of them.
        found = _visible(principal).exclude(diagram="namespace-grant")
        row = found.filter(process_id=process_id).first()
        return summary(row) if row else None


def requests_within_grant(
    principal: Principal, process_id: UUID, *, limit: int
) -> tuple[RequestItem, ...]:
    """Return the newest requests that the grant of this process let through."""
    require(principal, "certificates:read")
    with acting_as(principal):
        found = _all().filter(process_id=process_id, diagram="namespace-grant")
        return tuple(summary(row) for row in found.order_by("-created_at", "-id")[:limit])


def request_of_certificate(principal: Principal, certificate_id: UUID) -> RequestItem | None:
    """Return the request whose approval led to this certificate; None: it needed none."""
    require(principal, "certificates:read")
    with acting_as(principal):
        row = _all().filter(certificate_id=certificate_id).first()
        return summary(row) if row else None


def _all() -> QuerySet[CertificateRequest]:
    return CertificateRequest.objects.select_related("certificate").defer("csr_der")


def _visible(principal: Principal) -> QuerySet[CertificateRequest]:
    if principal.can("certificates:read"):
        return _all()
    require(principal, "certificates:issue")
    return _all().filter(Q(requester_kind=principal.kind, requester_id=principal.id))


def summary(row: CertificateRequest) -> RequestItem:
    """Return a request as fronts show it; must run inside `acting_as`."""
    return RequestItem(
        id=row.id,
        sha256=row.sha256,
        state=row.state,
        profile=row.profile,
        profile_version=row.profile_version,
        subject=row.subject,
        names=names_from_text(row.names),
        validity_seconds=row.validity_seconds,
        diagram=row.diagram,
        diagram_version=row.diagram_version,
        diagram_sha256=row.diagram_sha256,
        process_id=row.process_id,
        path=tuple(row.path),
        deciders=tuple(row.deciders),
        reason=row.reason,
        requester_name=row.requester_name,
        source=row.source,
        created_at=row.created_at,
        closed_at=row.closed_at,
        serial_number=row.certificate.serial_number if row.certificate else None,
    )
