"""Certificates: the list, one of them, all of them for an export."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from cryptography import x509
from django.db.models import OuterRef, QuerySet, Subquery
from pkakey_engine.issuance import describe_certificate
from pkakey_engine.keys import PublicKey, describe_key

from pkakey.selectors.cursors import Cursor, neighbours
from pkakey.selectors.keyset import from_place, position
from pkakey.selectors.results import CertificateDetail, CertificateItem, Page, RequestItem
from pkakey.selectors.values import names_from_text, pem
from pkakey.store import reading
from pkakey.store.authorities.models import Authority
from pkakey.store.certificates.models import Certificate
from pkakey.store.context import Principal, acting_as, require
from pkakey.store.errors import NotFound

COUNT_CAP = 1000
FINGERPRINT = re.compile(r"[0-9A-Fa-f]{64}")  # SHA-256 of the DER, in hex.
EXPORT_CHUNK = 1000
STATUSES = ("valid", "expired", "revoked")
_MOMENT = "issued_at"
_LISTED = (
    "id",
    "serial_number",
    "subject",
    "names",
    "profile",
    "profile_version",
    "authority_id",
    "not_before",
    "not_after",
    "issued_at",
    "revoked_at",
    "revocation_reason",
    "requested_by",
    "source",
    "purpose",
)


def list_certificates(
    principal: Principal,
    *,
    now: datetime,
    search: str | None = None,
    name: str | None = None,
    status: str | None = None,
    profile: str | None = None,
    authority_id: UUID | None = None,
    expires_before: datetime | None = None,
    expires_after: datetime | None = None,
    issued_after: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[CertificateItem]:
    """Return one page, newest first.

    `search` is part of a name, subject or serial number; `name` one whole name; `status` valid,
    expired or revoked at `now`. Raises `NotPermitted` and `MalformedCursor`.
    """
    require(principal, "certificates:read")
    place = Cursor.from_text(cursor, parts=2)
    with acting_as(principal):
        found = _found(
            now=now,
            search=search,
            name=name,
            status=status,
            profile=profile,
            authority_id=authority_id,
            expires_before=expires_before,
            expires_after=expires_after,
            issued_after=issued_after,
        )
        count = found.order_by()[: COUNT_CAP + 1].count()
        rows = list(from_place(found, place, moment=_MOMENT)[: limit + 1])
    has_more = len(rows) > limit
    rows = rows[:limit]
    if place is not None and place.is_backward:
        rows.reverse()
    next_cursor, previous_cursor = neighbours(
        place, [_position(row) for row in rows], has_more=has_more
    )
    return Page(
        items=tuple(_item(row, now) for row in rows),
        next_cursor=next_cursor,
        previous_cursor=previous_cursor,
        count=min(count, COUNT_CAP),
        count_capped=count > COUNT_CAP,
    )


def iterate_for_export(
    principal: Principal,
    *,
    now: datetime,
    **filters: Any,  # noqa: ANN401  # Checked by `list_certificates`' own signature.
) -> Iterator[CertificateItem]:
    """Return everything that the filters of `list_certificates` find, newest first.

    Reads in chunks, each in a transaction of its own, so that a slow client holds none open.
    """
    require(principal, "certificates:read")
    return _exported(principal, now, filters)


def _exported(
    principal: Principal, now: datetime, filters: Mapping[str, Any]
) -> Iterator[CertificateItem]:
    place: Cursor | None = None
    while True:
        with acting_as(principal):
            found = from_place(_found(now=now, **filters), place, moment=_MOMENT)
            rows = list(found[:EXPORT_CHUNK])
        for row in rows:
            yield _item(row, now)
        if len(rows) < EXPORT_CHUNK:
            return
        place = Cursor(_position(rows[-1]))


def get_certificate(
    principal: Principal, serial_number: str, *, now: datetime | None = None
) -> CertificateDetail:
    """Return one certificate with its chain; raises `NotFound("certificate")`.

    Without `now` the status is as of this moment by the database's clock.
    """
    require(principal, "certificates:read")
    return _detail(principal, serial_number, now)


def certificate_of_request(
    principal: Principal, item: RequestItem, *, now: datetime
) -> CertificateDetail:
    """Return the certificate that a request led to, for whoever may see the request."""
    return _detail(principal, item.serial_number or "", now)


def _detail(principal: Principal, serial_number: str, now: datetime | None) -> CertificateDetail:
    with acting_as(principal):
        row = (
            Certificate.objects.filter(serial_number=serial_number).order_by("-issued_at").first()
            if "\x00" not in serial_number
            else None
        )
        if row is None:
            raise NotFound("certificate")
        moment = now or _database_time()
        authorities = {each.id: each for each in Authority.objects.all()}
    issuer = authorities.get(row.authority_id)
    der = bytes(row.der)
    certificate = x509.load_der_x509_certificate(der)
    return CertificateDetail(
        **_fields(row, issuer.name if issuer else "", moment),
        pem=pem(der),
        der=der,
        sha256=row.sha256,
        public_key_sha256=row.public_key_sha256,
        key=describe_key(cast("PublicKey", certificate.public_key())),
        signature_algorithm=_signature_algorithm(certificate),
        chain=_chain(authorities, row),
        extensions=describe_certificate(certificate),
    )


def _chain(authorities: Mapping[UUID, Authority], row: Certificate) -> list[str]:
    chain: list[str] = []
    wanted: UUID | None = row.authority_id
    while wanted is not None and (authority := authorities.get(wanted)):
        if authority.certificate_der is None or bytes(authority.certificate_der) == bytes(row.der):
            break
        chain.append(pem(bytes(authority.certificate_der)))
        wanted = authority.parent_id
    return chain


def _signature_algorithm(certificate: x509.Certificate) -> str:
    oid = certificate.signature_algorithm_oid
    return str(getattr(oid, "_name", oid.dotted_string))


def _database_time() -> datetime:
    moment: datetime = reading.rows("SELECT statement_timestamp()")[0][0]
    return moment


def _listed() -> QuerySet[Certificate]:
    # Not a join: an authority that is no longer granted must not hide its certificates.
    name = Authority.objects.filter(id=OuterRef("authority_id")).values("name")
    return Certificate.objects.only(*_LISTED).annotate(authority_name=Subquery(name))


def _found(  # noqa: C901  # One line for each filter.
    *,
    now: datetime,
    search: str | None = None,
    name: str | None = None,
    status: str | None = None,
    profile: str | None = None,
    authority_id: UUID | None = None,
    expires_before: datetime | None = None,
    expires_after: datetime | None = None,
    issued_after: datetime | None = None,
) -> QuerySet[Certificate]:
    found = _listed()
    if any("\x00" in text for text in (search, name, profile) if text):
        # No text column can hold it, so nothing has it.
        return found.none()
    for text in (search, name):
        if text and text.strip():
            found = _containing(found, text.strip().upper())
    if name:
        wanted = [f"{kind}:{name}" for kind in ("dns", "ip", "email", "uri")]
        # The search has found the candidates; the names decide.
        found = found.filter(names__overlap=wanted)
    if status == "revoked":
        found = found.filter(revoked_at__isnull=False)
    elif status == "expired":
        found = found.filter(revoked_at__isnull=True, not_after__lt=now)
    elif status == "valid":
        found = found.filter(revoked_at__isnull=True, not_after__gte=now)
    if profile:
        found = found.filter(profile=profile)
    if authority_id:
        found = found.filter(authority_id=authority_id)
    if expires_before:
        found = found.filter(not_after__lt=expires_before)
    if expires_after:
        found = found.filter(not_after__gt=expires_after)
    if issued_after:
        found = found.filter(issued_at__gt=issued_after)
    return found


def _containing(found: QuerySet[Certificate], text: str) -> QuerySet[Certificate]:
    """Narrow to what holds the text: by the index when that is little, else while reading.

    What is found often fills a page soon; what is found seldom needs the index.
    """
    if FINGERPRINT.fullmatch(text):
        return found.filter(sha256=text.lower())
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    matches = reading.rows(
        "SELECT id FROM pki.matching_certificates(%s, %s)", [f"%{escaped}%", COUNT_CAP + 1]
    )
    if len(matches) <= COUNT_CAP:
        return found.filter(id__in=[row[0] for row in matches])
    return found.filter(search_text__contains=text)


def _position(row: Certificate) -> tuple[str, ...]:
    return position(row, moment=_MOMENT)


def status_at(row: Certificate, now: datetime) -> str:
    """Return valid, expired or revoked."""
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.not_after < now else "valid"


def _fields(row: Certificate, authority_name: str, now: datetime) -> dict[str, Any]:
    return {
        "id": row.id,
        "serial_number": row.serial_number,
        "subject": row.subject,
        "names": names_from_text(row.names),
        "profile": row.profile,
        "profile_version": row.profile_version,
        "authority_id": row.authority_id,
        "authority_name": authority_name,
        "status": status_at(row, now),
        "not_before": row.not_before,
        "not_after": row.not_after,
        "issued_at": row.issued_at,
        "revoked_at": row.revoked_at,
        "revocation_reason": row.revocation_reason,
        "requested_by": row.requested_by,
        "source": row.source,
        "purpose": row.purpose,
    }


def _item(row: Certificate, now: datetime) -> CertificateItem:
    # Empty for an authority whose grant was taken back.
    name: str = getattr(row, "authority_name", None) or ""
    return CertificateItem(**_fields(row, name, now))


def ending_soon(now: datetime, until: datetime, limit: int) -> tuple[CertificateItem, ...]:
    """Return the valid certificates that end first; must run inside `acting_as`."""
    rows = (
        _listed()
        .filter(revoked_at__isnull=True, not_after__gt=now, not_after__lte=until)
        .exclude(purpose="ocsp-responder")
        .order_by("not_after")[:limit]
    )
    return tuple(_item(row, now) for row in rows)
