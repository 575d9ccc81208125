"""Certificates: issue, list, show, revoke, download."""

from typing import ClassVar, Final

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from pkakey.fronts.rest import representations, schemas
from pkakey.fronts.rest.downloads import FORMS, download
from pkakey.fronts.rest.endpoint import Endpoint, clock, principal_of, services_of
from pkakey.fronts.rest.paging import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, page_url
from pkakey.fronts.rest.reading import (
    MAX_CSR_CHARACTERS,
    MAX_NAME_CHARACTERS,
    SERIAL_NUMBER,
    body_of,
    idempotency_key_of,
    query_of,
)
from pkakey.selectors import certificates as selected
from pkakey.selectors.results import CertificateDetail, RequestItem
from pkakey.services.errors import NotFound

_ISSUE_FIELDS: Final = frozenset({"csr", "profile", "authority"})
_REVOKE_FIELDS: Final = frozenset({"reason"})
_STATUSES: Final = frozenset(schemas.CERTIFICATE_STATUSES)
_TIMES: Final = ("expires_before", "expires_after", "issued_after")
_FILTERS: Final = frozenset(
    {"search", "status", "profile", "authority", "name", "cursor", "page_size", *_TIMES}
)

_TEXT: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_NAME_CHARACTERS,
    "pattern": r"^[^\u0000]*$",
}
_PARAMETERS: Final = [
    OpenApiParameter("search", _TEXT, description="Part of a name, subject or serial number."),
    OpenApiParameter("status", str, enum=schemas.CERTIFICATE_STATUSES),
    OpenApiParameter("profile", _TEXT, description="The name of a profile."),
    OpenApiParameter("authority", OpenApiTypes.UUID, description="The issuing authority."),
    OpenApiParameter("name", _TEXT, description="One whole subject alternative name."),
    *(OpenApiParameter(name, OpenApiTypes.DATETIME) for name in _TIMES),
    OpenApiParameter("cursor", _TEXT, description="From `next` or `previous` of another page."),
    OpenApiParameter(
        "page_size",
        {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": DEFAULT_PAGE_SIZE},
    ),
]
_IDEMPOTENCY: Final = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$"},
    OpenApiParameter.HEADER,
    description="A random value; the same one again gets the same certificate.",
)
_SERIAL: Final = OpenApiParameter(
    "serial_number",
    {"type": "string", "pattern": f"^{SERIAL_NUMBER.pattern}$"},
    OpenApiParameter.PATH,
    description="Lower-case hexadecimal without a prefix.",
)


class CertificatesEndpoint(Endpoint):
    """Issues a certificate from a request, and lists what was issued."""

    permissions: ClassVar = {
        "GET": "certificates:read",
        "HEAD": "certificates:read",
        "POST": "certificates:issue",
    }

    @extend_schema(
        operation_id="issue_certificate",
        tags=["certificates"],
        parameters=[_IDEMPOTENCY],
        request=schemas.IssueCertificate,
        responses={
            202: OpenApiResponse(
                schemas.RequestItem,
                description=(
                    "The profile needs an approval, and its process has begun; `links` say where "
                    "to look."
                ),
            ),
            201: OpenApiResponse(
                schemas.IssuedCertificate,
                description=(
                    "The certificate was issued, now or by an earlier request with the same "
                    "Idempotency-Key; `Idempotency-Replayed: true` tells the latter."
                ),
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Issue a certificate for a certificate signing request."""
        fields = body_of(request, allowed=_ISSUE_FIELDS)
        csr = fields.required_text("csr", at_most=MAX_CSR_CHARACTERS)
        profile = fields.required_text("profile", at_most=MAX_NAME_CHARACTERS)
        authority_id = fields.optional_uuid("authority")
        fields.done()
        issued = services_of(request).issue_certificate(
            principal=principal_of(request),
            csr=csr.encode(),
            profile=profile,
            authority_id=authority_id,
            now=clock(),
            source="api",
            idempotency_key=idempotency_key_of(request),
        )
        if isinstance(issued, RequestItem):
            body = representations.request_item(issued, request)
            headers = {"Location": body["links"]["self"], "Retry-After": "10"}
            return Response(body, status=status.HTTP_202_ACCEPTED, headers=headers)
        body = representations.issued(issued, request)
        headers = {"Location": body["links"]["self"]}
        if issued.replayed:
            headers["Idempotency-Replayed"] = "true"
        return Response(body, status=status.HTTP_201_CREATED, headers=headers)

    @extend_schema(
        operation_id="list_certificates",
        tags=["certificates"],
        parameters=_PARAMETERS,
        responses={200: schemas.CertificatePage},
    )
    def get(self, request: Request) -> Response:
        """List certificates, newest first."""
        fields = query_of(request, allowed=_FILTERS)
        search = fields.optional_text("search", at_most=MAX_NAME_CHARACTERS)
        profile = fields.optional_text("profile", at_most=MAX_NAME_CHARACTERS)
        name = fields.optional_text("name", at_most=MAX_NAME_CHARACTERS)
        cursor = fields.optional_text("cursor", at_most=MAX_NAME_CHARACTERS)
        chosen = fields.optional_choice("status", _STATUSES)
        authority_id = fields.optional_uuid("authority")
        expires_before, expires_after, issued_after = map(fields.optional_time, _TIMES)
        size = fields.optional_integer("page_size", least=1, most=MAX_PAGE_SIZE)
        fields.done()
        page = selected.list_certificates(
            principal_of(request),
            now=clock(),
            search=search,
            name=name,
            status=chosen,
            profile=profile,
            authority_id=authority_id,
            expires_before=expires_before,
            expires_after=expires_after,
            issued_after=issued_after,
            cursor=cursor,
            limit=size or DEFAULT_PAGE_SIZE,
        )
        return Response(
            {
                "next": page_url(request, page.next_cursor),
                "previous": page_url(request, page.previous_cursor),
                "results": [representations.summary(item, request) for item in page.items],
            }
        )


class CertificateEndpoint(Endpoint):
    """Shows one certificate."""

    permissions: ClassVar = {"GET": "certificates:read", "HEAD": "certificates:read"}

    @extend_schema(
        operation_id="get_certificate",
        tags=["certificates"],
        parameters=[_SERIAL],
        responses={200: schemas.CertificateDetail},
    )
    def get(self, request: Request, serial_number: str) -> Response:
        """Show one certificate with its chain and every extension in words."""
        query_of(request, allowed=frozenset()).done()
        return Response(representations.detail(_find(request, serial_number), request))


class CertificateDownloadEndpoint(Endpoint):
    """Hands out one certificate in a form that other programs read."""

    permissions: ClassVar = {"GET": "certificates:read", "HEAD": "certificates:read"}

    @extend_schema(
        operation_id="download_certificate",
        tags=["certificates"],
        parameters=[
            _SERIAL,
            OpenApiParameter("form", str, OpenApiParameter.PATH, enum=list(FORMS)),
        ],
        responses={
            (200, form.media_type): OpenApiResponse(OpenApiTypes.BINARY) for form in FORMS.values()
        },
    )
    def get(self, request: Request, serial_number: str, form: str) -> HttpResponse:
        """Download a certificate as PEM, DER, chain (PEM) or PKCS#7 (DER)."""
        query_of(request, allowed=frozenset()).done()
        found = _find(request, serial_number)
        return download(FORMS[form], chain=[found.pem, *found.chain], name=found.serial_number)


class RevokeCertificateEndpoint(Endpoint):
    """Revokes one certificate."""

    permissions: ClassVar = {"POST": "certificates:revoke"}

    @extend_schema(
        operation_id="revoke_certificate",
        tags=["certificates"],
        parameters=[_SERIAL],
        request=schemas.RevokeCertificate,
        responses={200: schemas.RevokedCertificate},
    )
    def post(self, request: Request, serial_number: str) -> Response:
        """Revoke a certificate for good, and say why."""
        fields = body_of(request, allowed=_REVOKE_FIELDS)
        reason = fields.required_text("reason", at_most=MAX_NAME_CHARACTERS)
        fields.done()
        _check_serial(serial_number)
        revoked = services_of(request).revoke_certificate(
            principal=principal_of(request),
            serial_number=serial_number,
            reason=reason,
            now=clock(),
        )
        return Response(representations.revoked(revoked))


def _check_serial(serial_number: str) -> None:
    """Raise NotFound for what no certificate can have as its serial number."""
    if not SERIAL_NUMBER.fullmatch(serial_number):
        raise NotFound("certificate")


def _find(request: Request, serial_number: str) -> CertificateDetail:
    _check_serial(serial_number)
    return selected.get_certificate(principal_of(request), serial_number, now=clock())
