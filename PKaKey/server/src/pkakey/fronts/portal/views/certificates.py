"""The list of certificates, one certificate, its downloads and its revocation."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from django.contrib import messages
from django.core.cache import cache
from django.db import DatabaseError
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe
from pkakey_engine.errors import Refused

from pkakey.fronts.portal import words
from pkakey.fronts.portal.templatetags.portal import title_of
from pkakey.fronts.portal.views.access import PortalRequest, clock, screen
from pkakey.selectors import audit, authorities, profiles
from pkakey.selectors import certificates as selected
from pkakey.selectors.cursors import MalformedCursor
from pkakey.selectors.requests import request_of_certificate
from pkakey.selectors.results import CertificateDetail, CertificateItem
from pkakey.services import RevocationReason
from pkakey.services.errors import NotFound, ServiceUnavailable
from pkakey.services.principals import Principal

log = structlog.get_logger()

STATUSES: Final = ("valid", "expired", "revoked")
ENDINGS: Final = ("7", "30", "90")
PAGE_SIZE: Final = 50
SERIAL_NUMBER: Final = re.compile(r"[1-9a-f][0-9a-f]{0,39}")
# RFC 5280 section 5.3.1: these two say something of an authority, and one is not revoked here.
OF_AUTHORITIES: Final = frozenset({"cACompromise", "aACompromise"})
HEX: Final = re.compile(r"[0-9a-f]+")
EVENTS_SHOWN: Final = 20
CHOICES_KEPT_SECONDS: Final = 60
COLUMNS: Final = (
    "serial_number",
    "subject",
    "names",
    "status",
    "not_before",
    "not_after",
    "profile",
    "authority",
    "requested_by",
    "source",
    "revoked_at",
    "reason",
)


@dataclass(frozen=True, slots=True)
class Form:
    """A form in which a certificate is downloaded."""

    name: str
    label: str
    extension: str
    media_type: str


FORMS: Final = {
    form.name: form
    for form in (
        Form("pem", "PEM", "pem", "application/x-pem-file"),
        Form("der", "DER", "cer", "application/pkix-cert"),
        Form("chain", "Chain", "chain.pem", "application/x-pem-file"),
        Form("pkcs7", "PKCS#7", "p7b", "application/x-pkcs7-certificates"),
    )
}


def filters_of(request: PortalRequest) -> dict[str, str]:
    """Return the filters that the address names; what is unknown is left out."""
    given = {name: request.GET.get(name, "").strip()[:255] for name in ("search", "profile")}
    given["search"] = given["search"].replace("\x00", "")
    for name, known in (("status", STATUSES), ("ending", ENDINGS)):
        value = request.GET.get(name, "")
        given[name] = value if value in known else ""
    try:
        given["authority"] = str(UUID(request.GET.get("authority", "")))
    except ValueError:
        given["authority"] = ""
    return given


def without_colons(search: str) -> str:
    """Return serial numbers and fingerprints as they are kept; they are often shown in pairs."""
    digits = search.replace(":", "").lower()
    return digits if ":" in search and HEX.fullmatch(digits) else search


def selection(given: dict[str, str], now: datetime) -> dict[str, Any]:
    """Return the filters as the selector takes them."""
    ending = given["ending"]
    return {
        "search": without_colons(given["search"]) or None,
        "profile": given["profile"] or None,
        "status": given["status"] or ("valid" if ending else None),
        "authority_id": UUID(given["authority"]) if given["authority"] else None,
        "expires_before": now + timedelta(days=int(ending)) if ending else None,
        "now": now,
    }


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter by status that keeps the other filters."""

    label: str
    query: str
    is_here: bool


def chips_of(given: dict[str, str]) -> list[Chip]:
    """Return the statuses to choose from."""
    return [
        Chip(
            label=status.capitalize() or "All",
            query=query_of(given | {"status": status}),
            is_here=given["status"] == status,
        )
        for status in ("", *STATUSES)
    ]


def query_of(given: dict[str, str]) -> str:
    """Return the filters as the query of an address."""
    return urlencode({name: value for name, value in given.items() if value})


def choices_of(principal: Principal) -> dict[str, Any]:
    """Return what the filters offer; kept for a minute, for these change seldom."""
    key = f"portal-choices:{principal.namespace_id}"
    kept: dict[str, Any] | None = cache.get(key)
    if kept is None:
        kept = {
            "profiles": [item.name for item in profiles.list_profiles(principal)],
            "authorities": [
                (str(item.id), item.name) for item in authorities.list_authorities(principal)
            ],
        }
        cache.set(key, kept, CHOICES_KEPT_SECONDS)
    return kept


@screen("certificates:read")
@require_safe
def index(request: PortalRequest) -> HttpResponse:
    """Show one page of the list."""
    now = clock()
    given = filters_of(request)
    content: dict[str, Any] = {
        "here": "certificates",
        "now": now,
        "page": None,
        "filters": given,
        "query": query_of(given),
        "chips": chips_of(given),
        "endings": ENDINGS,
    }
    status = 200
    try:
        content["choices"] = choices_of(request.principal)
        content["page"] = selected.list_certificates(
            request.principal,
            cursor=request.GET.get("cursor") or None,
            limit=PAGE_SIZE,
            **selection(given, now),
        )
    except MalformedCursor:
        content["problem"] = "The list gave out no page with this address. Start from the first."
        status = 400
    except DatabaseError:
        log.exception("certificates.failed")
        status = 503
    return render(request, "portal/certificates.html", content, status=status)


class Echo:
    """A file-like object that hands back what is written: the csv module wants a file."""

    @staticmethod
    def write(line: str) -> str:
        """Return the line."""
        return line


def defused(value: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


@screen("certificates:read")
@require_safe
def export(request: PortalRequest) -> StreamingHttpResponse:
    """Stream what the filters find as CSV."""
    now = clock()
    rows = selected.iterate_for_export(request.principal, **selection(filters_of(request), now))
    response = StreamingHttpResponse(_lines(rows), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="certificates-{now:%F}.csv"'
    return response


def _lines(rows: Iterator[CertificateItem]) -> Iterator[str]:
    write = csv.writer(Echo()).writerow
    yield write(COLUMNS)
    for item in rows:
        cells = [
            item.serial_number,
            item.subject,
            " ".join(name.value for name in item.names),
            item.status,
            item.not_before.isoformat(),
            item.not_after.isoformat(),
            item.profile,
            item.authority_name,
            item.requested_by,
            item.source,
            item.revoked_at.isoformat() if item.revoked_at else "",
            item.revocation_reason or "",
        ]
        yield write([defused(cell) for cell in cells])


def find(request: PortalRequest, serial_number: str) -> CertificateDetail:
    """Return the certificate, or raise `NotFound`."""
    if not SERIAL_NUMBER.fullmatch(serial_number):
        raise NotFound("certificate")
    return selected.get_certificate(request.principal, serial_number)


@screen("certificates:read")
@require_safe
def detail(request: PortalRequest, serial_number: str) -> HttpResponse:
    """Show one certificate."""
    item = find(request, serial_number)
    events = (
        audit.list_events(request.principal, target=serial_number, limit=EVENTS_SHOWN).items
        if request.principal.can("audit:read")
        else None
    )
    chain = [x509.load_pem_x509_certificate(pem.encode()).subject for pem in item.chain]
    return render(
        request,
        "portal/certificate.html",
        {
            "here": "certificates",
            "now": clock(),
            "item": item,
            "title": title_of(item),
            "chain": [name.rfc4514_string() for name in chain],
            "events": events,
            "forms": FORMS.values(),
            "approval": request_of_certificate(request.principal, item.id),
            "fresh": request.session.pop("fresh", None) == serial_number,
        },
    )


@screen("certificates:read")
@require_safe
def download(request: PortalRequest, serial_number: str, form: str) -> HttpResponse:
    """Hand out one certificate in one form."""
    if form not in FORMS:
        raise NotFound("form")
    item = find(request, serial_number)
    chosen = FORMS[form]
    match chosen.name:
        case "pem":
            body = item.pem.encode()
        case "der":
            body = item.der
        case "chain":
            body = "".join([item.pem, *item.chain]).encode()
        case _:
            pems = [item.pem, *item.chain]
            body = pkcs7.serialize_certificates(
                [x509.load_pem_x509_certificate(pem.encode()) for pem in pems], Encoding.DER
            )
    response = HttpResponse(body, content_type=chosen.media_type)
    name = f"{serial_number}.{chosen.extension}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@screen("certificates:revoke")
@require_http_methods(["GET", "HEAD", "POST"])
def revoke(request: PortalRequest, serial_number: str) -> HttpResponse:
    """Ask for the reason and say the effect; then revoke."""
    item = find(request, serial_number)
    problem = ""
    if request.method == "POST":
        try:
            request.services.revoke_certificate(
                principal=request.principal,
                serial_number=serial_number,
                reason=request.POST.get("reason", ""),
                now=clock(),
                authority_id=item.authority_id,
            )
        except Refused as refused:
            problem = f"{refused.detail} ({refused.refusal.value})"
        except ServiceUnavailable as error:
            problem = f"{error.detail} ({error.what}.unavailable)"
        else:
            messages.success(request, "The certificate is revoked; CRL and OCSP say so.")
            return redirect("portal:certificate", serial_number)
    reasons = [
        {"value": reason.value, "label": words.REASONS[reason.value]}
        for reason in RevocationReason
        if reason.value in words.REASONS and reason.value not in OF_AUTHORITIES
    ]
    return render(
        request,
        "portal/revoke.html",
        {
            "here": "certificates",
            "serial_number": serial_number,
            "title": title_of(item),
            "reasons": reasons,
            "problem": problem,
        },
        status=400 if problem else 200,
    )
