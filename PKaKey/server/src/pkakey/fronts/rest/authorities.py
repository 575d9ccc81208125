"""Authorities: list, show, download."""

from typing import ClassVar, Final
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from pkakey.fronts.rest import representations, schemas
from pkakey.fronts.rest.downloads import FORMS, download
from pkakey.fronts.rest.endpoint import Endpoint, principal_of
from pkakey.fronts.rest.reading import query_of
from pkakey.selectors import authorities as selected

_READ: Final = {"GET": "authorities:read", "HEAD": "authorities:read"}
_ID: Final = OpenApiParameter("authority_id", OpenApiTypes.UUID, OpenApiParameter.PATH)


class AuthoritiesEndpoint(Endpoint):
    """Lists the authorities that the namespace may see."""

    permissions: ClassVar = _READ

    @extend_schema(
        operation_id="list_authorities",
        tags=["authorities"],
        responses={200: schemas.AuthorityList},
    )
    def get(self, request: Request) -> Response:
        """List the authorities."""
        query_of(request, allowed=frozenset()).done()
        found = selected.list_authorities(principal_of(request))
        return Response({"results": [representations.authority(one, request) for one in found]})


class AuthorityEndpoint(Endpoint):
    """Shows one authority."""

    permissions: ClassVar = _READ

    @extend_schema(
        operation_id="get_authority",
        tags=["authorities"],
        parameters=[_ID],
        responses={200: schemas.AuthorityDetail},
    )
    def get(self, request: Request, authority_id: UUID) -> Response:
        """Show one authority with its certificate and chain."""
        query_of(request, allowed=frozenset()).done()
        found = selected.get_authority(principal_of(request), authority_id)
        return Response(representations.authority_detail(found, request))


class AuthorityDownloadEndpoint(Endpoint):
    """Hands out an authority's certificate in a form that other programs read."""

    permissions: ClassVar = _READ

    @extend_schema(
        operation_id="download_authority",
        tags=["authorities"],
        parameters=[
            _ID,
            OpenApiParameter("form", str, OpenApiParameter.PATH, enum=list(FORMS)),
        ],
        responses={
            (200, form.media_type): OpenApiResponse(OpenApiTypes.BINARY) for form in FORMS.values()
        },
    )
    def get(self, request: Request, authority_id: UUID, form: str) -> HttpResponse:
        """Download an authority's certificate as PEM, DER, chain (PEM) or PKCS#7 (DER)."""
        query_of(request, allowed=frozenset()).done()
        found = selected.get_authority(principal_of(request), authority_id)
        return download(FORMS[form], chain=[found.pem, *found.chain], name=str(found.id))
