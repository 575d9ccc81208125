"""API tokens: list, create, revoke."""

from typing import ClassVar, Final
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from pkakey.fronts.rest import representations, schemas
from pkakey.fronts.rest.endpoint import Endpoint, clock, principal_of, services_of
from pkakey.fronts.rest.reading import MAX_NAME_CHARACTERS, body_of, query_of
from pkakey.selectors import tokens as selected
from pkakey.services.principals import PERMISSIONS

_FIELDS: Final = frozenset({"name", "scopes", "expires_at", "form"})
_SCOPES: Final = frozenset(PERMISSIONS)
_FORMS: Final = frozenset({"opaque", "jwt"})


class TokensEndpoint(Endpoint):
    """Lists and creates tokens of the namespace."""

    permissions: ClassVar = {
        "GET": "tokens:manage",
        "HEAD": "tokens:manage",
        "POST": "tokens:manage",
    }

    @extend_schema(operation_id="list_tokens", tags=["tokens"], responses={200: schemas.TokenList})
    def get(self, request: Request) -> Response:
        """List the tokens, newest first, without their secrets."""
        query_of(request, allowed=frozenset()).done()
        found = selected.list_tokens(principal_of(request))
        return Response({"results": [representations.token(one) for one in found]})

    @extend_schema(
        operation_id="create_token",
        tags=["tokens"],
        request=schemas.CreateToken,
        responses={201: schemas.NewToken},
    )
    def post(self, request: Request) -> Response:
        """Create a token; its secret is in this answer and nowhere else.

        With `"form": "jwt"` it is a signed token, which the data API takes; it lives an hour, at
        most a day.
        """
        fields = body_of(request, allowed=_FIELDS)
        name = fields.required_text("name", at_most=MAX_NAME_CHARACTERS)
        scopes = fields.choices("scopes", _SCOPES)
        expires_at = fields.optional_time("expires_at")
        form = fields.optional_choice("form", _FORMS)
        fields.done()
        services = services_of(request)
        create = services.create_jwt if form == "jwt" else services.create_token
        created = create(
            principal=principal_of(request),
            name=name,
            scopes=scopes,
            expires_at=expires_at,
            now=clock(),
        )
        return Response(
            representations.new_token(created),
            status=status.HTTP_201_CREATED,
            headers={"Cache-Control": "no-store"},
        )


class TokenEndpoint(Endpoint):
    """Revokes one token."""

    permissions: ClassVar = {"DELETE": "tokens:manage"}

    @extend_schema(
        operation_id="revoke_token",
        tags=["tokens"],
        parameters=[OpenApiParameter("token_id", OpenApiTypes.UUID, OpenApiParameter.PATH)],
        responses={204: OpenApiResponse(description="The token is no good from now on.")},
    )
    def delete(self, request: Request, token_id: UUID) -> Response:
        """Revoke a token at once."""
        query_of(request, allowed=frozenset()).done()
        services_of(request).revoke_token(
            principal=principal_of(request), token_id=token_id, now=clock()
        )
        return Response(status=status.HTTP_204_NO_CONTENT)
