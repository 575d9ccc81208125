"""Grants: what needs no further approval; list, show, withdraw."""

from typing import ClassVar, Final
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from pkakey.fronts.rest import representations, schemas
from pkakey.fronts.rest.endpoint import Endpoint, clock, principal_of, services_of
from pkakey.fronts.rest.paging import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, page_url
from pkakey.fronts.rest.reading import MAX_NAME_CHARACTERS, body_of, query_of
from pkakey.selectors import grants as selected
from pkakey.services.grants import MAX_REASON

_STATES: Final = frozenset(selected.STATES)
_ID: Final = OpenApiParameter("grant_id", OpenApiTypes.UUID, OpenApiParameter.PATH)


class GrantsEndpoint(Endpoint):
    """Lists grants. One is asked for at KoolFlows: the process `namespace-grant`."""

    permissions: ClassVar = {"GET": "certificates:read", "HEAD": "certificates:read"}

    @extend_schema(
        operation_id="list_grants",
        tags=["grants"],
        parameters=[
            OpenApiParameter("state", str, enum=selected.STATES),
            OpenApiParameter(
                "cursor",
                {"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARACTERS,
                 "pattern": r"^[^\u0000]*$"},
                description="From `next` or `previous` of another page.",
            ),
            OpenApiParameter(
                "page_size",
                {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE,
                 "default": DEFAULT_PAGE_SIZE},
            ),
        ],
        responses={200: schemas.GrantPage},
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """List what needs no further approval, newest first, with what is over."""
        fields = query_of(request, allowed=frozenset({"state", "cursor", "page_size"}))
        state = fields.optional_choice("state", _STATES)
        cursor = fields.optional_text("cursor", at_most=MAX_NAME_CHARACTERS)
        size = fields.optional_integer("page_size", least=1, most=MAX_PAGE_SIZE)
        fields.done()
        page = selected.list_grants(
            principal_of(request), state=state, cursor=cursor, limit=size or DEFAULT_PAGE_SIZE,
            now=clock(),
        )  # fmt: skip
        return Response(
            {
                "next": page_url(request, page.next_cursor),
                "previous": page_url(request, page.previous_cursor),
                "results": [representations.grant(item, request) for item in page.items],
            }
        )


class GrantEndpoint(Endpoint):
    """Shows one grant."""

    permissions: ClassVar = {"GET": "certificates:read", "HEAD": "certificates:read"}

    @extend_schema(
        operation_id="get_grant", tags=["grants"], parameters=[_ID], responses={200: schemas.Grant}
    )
    def get(self, request: Request, grant_id: UUID) -> Response:
        """Show one grant, with the process, diagram version and path that allowed it."""
        query_of(request, allowed=frozenset()).done()
        item = selected.get_grant(principal_of(request), grant_id, now=clock())
        return Response(representations.grant(item, request))


class WithdrawGrantEndpoint(Endpoint):
    """Ends one grant before its date."""

    permissions: ClassVar = {"POST": "certificates:revoke"}

    @extend_schema(
        operation_id="withdraw_grant",
        tags=["grants"],
        parameters=[_ID],
        request=schemas.WithdrawGrant,
        responses={200: schemas.WithdrawnGrant},
    )
    def post(self, request: Request, grant_id: UUID) -> Response:
        """Withdraw a grant for good: later requests wait for people; what was issued stays."""
        fields = body_of(request, allowed=frozenset({"reason"}))
        reason = fields.required_text("reason", at_most=MAX_REASON)
        fields.done()
        now = clock()
        services_of(request).flows.withdraw(
            principal=principal_of(request), grant_id=grant_id, reason=reason, now=now
        )
        return Response(
            {
                "id": str(grant_id),
                "state": "withdrawn",
                "withdrawn_at": representations.timestamp(now),
            }
        )
