"""A request under a profile that needs an approval: recorded, then handed to KoolFlows.

`docs/flows/approval.md` tells the whole way; `approved` is where KoolFlows comes back.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import IntegrityError
from pkakey_engine.issuance import CertificateRequest as ParsedRequest
from pkakey_engine.issuance import IntendedCertificate, Profile

from pkakey.selectors.requests import summary
from pkakey.selectors.results import RequestItem
from pkakey.selectors.values import names_to_text
from pkakey.services.errors import Conflict, NotPermitted, ServiceUnavailable
from pkakey.services.flows_tokens import mint_for_flows, subject_of
from pkakey.services.outside import Outside
from pkakey.services.principals import Principal
from pkakey.services.records import record
from pkakey.store.context import acting_as
from pkakey.store.requests.models import CertificateRequest

RECORDED = "recorded"
NOT_STARTED = "not-started"
WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for, as the approval binds it."""

    parsed: ParsedRequest
    profile: Profile
    intended: IntendedCertificate
    authority_id: UUID
    authority_name: str
    # The process that granted it before, and its diagram; then nobody is asked.
    granted_by: UUID | None = None
    granted_diagram: str = ""

    @property
    def validity_seconds(self) -> int:
        """How long the certificate will be valid, whenever it is issued."""
        return int((self.intended.not_after - self.intended.not_before).total_seconds())


def digest(facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of what is approved, over its canonical JSON."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def facts_of(row: CertificateRequest, namespace: str) -> dict[str, Any]:
    """Return everything that an approval is for, from what is stored."""
    return {
        "namespace": namespace,
        "csr_sha256": hashlib.sha256(bytes(row.csr_der)).hexdigest(),
        "profile": row.profile,
        "profile_version": row.profile_version,
        "profile_digest": row.profile_digest,
        "authority": str(row.authority_id),
        "subject": row.subject,
        "names": list(row.names),
        "public_key_sha256": row.public_key_sha256,
        "validity_seconds": row.validity_seconds,
        "diagram": row.diagram,
        "requester": row.requester_subject,
    }


def receive(
    outside: Outside,
    *,
    principal: Principal,
    asked: Asked,
    source: str,
    idempotency_key: str | None,
    now: datetime,
) -> RequestItem:
    """Record the request and start the process that it needs; return where it stands.

    The same key again with the same request gets the same one. Raises `ServiceUnavailable`
    without KoolFlows (the request is then not under way), `Conflict`, `NotPermitted`.
    """
    if outside.flows is None:
        raise ServiceUnavailable(
            "koolflows",
            f"Profile {asked.profile.name!r} needs an approval, and there is no KoolFlows here. "
            "An administrator sets PKAKEY_FLOWS_URL, or publishes the profile without an approval.",
        )
    row = recorded(principal, asked, source, idempotency_key, now)
    if row.state in {RECORDED, NOT_STARTED}:
        row = _start(outside, principal, row, asked, now)
    with acting_as(principal):
        return summary(row)


def recorded(
    principal: Principal,
    asked: Asked,
    source: str,
    key: str | None,
    now: datetime,
) -> CertificateRequest:
    """Return the request as it is stored; the same key again with the same gets the same one."""
    row = CertificateRequest(
        id=uuid4(),
        namespace_id=principal.namespace_id,
        csr_der=asked.parsed.csr_der,
        profile=asked.profile.name,
        profile_version=asked.profile.version,
        profile_digest=asked.profile.digest,
        authority_id=asked.authority_id,
        subject=asked.intended.subject,
        names=names_to_text(asked.intended.names),
        public_key_sha256=asked.intended.public_key_sha256,
        validity_seconds=asked.validity_seconds,
        diagram=asked.granted_diagram or asked.profile.approval or "",
        source=source,
        requester_kind=principal.kind,
        requester_id=principal.id,
        requester_name=principal.name,
        requester_subject=subject_of(principal),
        idempotency_key=key,
        created_at=now,
        state=RECORDED,
        process_id=asked.granted_by,
    )
    row.sha256 = digest(facts_of(row, principal.namespace))
    try:
        with acting_as(principal):
            row.save(force_insert=True)
            record(
                principal=principal,
                now=now,
                action="request.received",
                target=str(row.id),
                details={"sha256": row.sha256, "profile": row.profile, "diagram": row.diagram,
                         "profile_version": row.profile_version, "names": row.names},
            )  # fmt: skip
    except IntegrityError:
        with acting_as(principal):
            earlier = CertificateRequest.objects.get(
                requester_kind=principal.kind, requester_id=principal.id, idempotency_key=key
            )
        # A grant may have begun or ended since; what is asked for is the same.
        row.diagram = earlier.diagram
        if earlier.sha256 != digest(facts_of(row, principal.namespace)):
            raise Conflict(
                "idempotency.key-reused",
                "This Idempotency-Key came before with another request. Use a new key for a new "
                "request, or repeat the first request unchanged.",
            ) from None
        return earlier
    return row


def _start(
    outside: Outside, principal: Principal, row: CertificateRequest, asked: Asked, now: datetime
) -> CertificateRequest:
    assert outside.flows is not None  # noqa: S101  # `receive` has looked.
    if row.state == NOT_STARTED:
        # Before KoolFlows knows of it, so that its answer is not refused as too late.
        _move(principal, row, {NOT_STARTED}, state=RECORDED)
    try:
        answer = outside.flows.call(
            "POST",
            "processes/",
            token=mint_for_flows(outside, principal=principal, now=now),
            body={"diagram": row.diagram, "data": {"request": _told(row, asked)}},
            key=f"pkakey-request-{row.id}",
            request_id=principal.request_id,
        )
    except ServiceUnavailable:
        _move(principal, row, {RECORDED}, state=NOT_STARTED)
        raise
    if not answer.is_success:
        _move(principal, row, {RECORDED}, state=NOT_STARTED)
        detail = str(answer.body.get("detail", f"KoolFlows answered {answer.status}."))[:300]
        if answer.status == 403:  # noqa: PLR2004
            raise NotPermitted("flows:start")
        raise Conflict(
            "approval.not-started",
            f"The process {row.diagram!r} that this profile needs could not be started: {detail} "
            "An administrator looks at the profile and at the diagram.",
        )
    found = answer.body
    _move(
        principal, row, {RECORDED}, state=WAITING, process_id=UUID(str(found["id"])),
        diagram_version=int(found["version"]), diagram_sha256=str(found["sha256"]),
    )  # fmt: skip
    return row


def _move(
    principal: Principal,
    row: CertificateRequest,
    states: set[str],
    **values: Any,  # noqa: ANN401
) -> None:
    with acting_as(principal):
        # A process without a human step may have come back already.
        CertificateRequest.objects.filter(pk=row.pk, state__in=states).update(**values)
        row.refresh_from_db()


def _told(row: CertificateRequest, asked: Asked) -> dict[str, Any]:
    names = [name.value for name in asked.intended.names]
    return {
        "id": str(row.id),
        "sha256": row.sha256,
        "profile": row.profile,
        "names": names,
        "subject": row.subject[:500],
        "key_algorithm": asked.parsed.key_description[:50],
        "validity_days": round(row.validity_seconds / 86400, 2),
        "wildcard": any(name.startswith("*.") for name in names),
        "authority": asked.authority_name[:200],
        "requester": row.requester_name[:200],
    }
