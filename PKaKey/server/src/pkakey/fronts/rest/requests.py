"""Requests that need an approval: where they stand."""

from typing import ClassVar, Final
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from pkakey.fronts.rest import representations, schemas
from pkakey.fronts.rest.endpoint import Endpoint, clock, principal_of
from pkakey.fronts.rest.paging import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from pkakey.fronts.rest.reading import query_of
from pkakey.selectors import certificates
from pkakey.selectors import requests as selected

_STATES: Final = frozenset(schemas.REQUEST_STATES)


class RequestsEndpoint(Endpoint):
    """Lists requests."""

    permissions: ClassVar = {"GET": "certificates:read", "HEAD": "certificates:read"}

    @extend_schema(
        operation_id="list_requests",
        tags=["requests"],
        parameters=[
            OpenApiParameter("state", str, enum=schemas.REQUEST_STATES),
            OpenApiParameter("before", OpenApiTypes.DATETIME, description="Only older ones."),
            OpenApiParameter(
                "page_size",
                {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE,
                 "default": DEFAULT_PAGE_SIZE},
            ),
        ],
        responses={200: schemas.RequestList},
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """List the requests that needed an approval, newest first."""
        fields = query_of(request, allowed=frozenset({"state", "before", "page_size"}))
        state = fields.optional_choice("state", _STATES)
        before = fields.optional_time("before")
        size = fields.optional_integer("page_size", least=1, most=MAX_PAGE_SIZE)
        fields.done()
        found = selected.list_requests(
            principal_of(request), state=state, before=before, limit=size or DEFAULT_PAGE_SIZE
        )
        return Response({"results": [representations.request_item(one, request) for one in found]})


class RequestEndpoint(Endpoint):
    """Shows one request."""

    # Who may only issue sees their own, which the selector holds.
    permissions: ClassVar = dict.fromkeys(
        ("GET", "HEAD"), "certificates:read or certificates:issue"
    )

    @extend_schema(
        operation_id="get_request", tags=["requests"], responses={200: schemas.RequestDetail}
    )
    def get(self, request: Request, request_id: UUID) -> Response:
        """Show where a request stands; once issued, with the certificate."""
        query_of(request, allowed=frozenset()).done()
        principal = principal_of(request)
        item = selected.get_request(principal, request_id)
        body = representations.request_item(item, request)
        body["pem"], body["chain"] = None, None
        if item.serial_number is not None:
            # One's own certificate may be seen without the right to see all of them.
            found = certificates.certificate_of_request(principal, item, now=clock())
            body["pem"], body["chain"] = found.pem, found.chain
        return Response(body)
