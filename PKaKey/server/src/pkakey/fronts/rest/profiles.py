"""Profiles: the versioned rules by which certificates are issued."""

from typing import ClassVar, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from pkakey.fronts.rest import representations, schemas
from pkakey.fronts.rest.endpoint import Endpoint, principal_of
from pkakey.fronts.rest.reading import query_of
from pkakey.selectors import profiles as selected
from pkakey.services.errors import NotFound

_READ: Final = {"GET": "profiles:read", "HEAD": "profiles:read"}


class ProfilesEndpoint(Endpoint):
    """Lists the profiles of the namespace."""

    permissions: ClassVar = _READ

    @extend_schema(
        operation_id="list_profiles", tags=["profiles"], responses={200: schemas.ProfileList}
    )
    def get(self, request: Request) -> Response:
        """List the current version of every profile."""
        query_of(request, allowed=frozenset()).done()
        found = selected.list_profiles(principal_of(request))
        return Response({"results": [representations.profile(one) for one in found]})


class ProfileEndpoint(Endpoint):
    """Shows one profile."""

    permissions: ClassVar = _READ

    @extend_schema(
        operation_id="get_profile",
        tags=["profiles"],
        parameters=[OpenApiParameter("name", str, OpenApiParameter.PATH)],
        responses={200: schemas.Profile},
    )
    def get(self, request: Request, name: str) -> Response:
        """Show the current version of one profile."""
        query_of(request, allowed=frozenset()).done()
        for one in selected.list_profiles(principal_of(request)):
            if one.name == name:
                return Response(representations.profile(one))
        raise NotFound("profile")
