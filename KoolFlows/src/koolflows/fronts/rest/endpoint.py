"""What every address of the API shares."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, cast

from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from koolflows.fronts.rest.authentication import BearerAuthentication
from koolflows.fronts.rest.problems import answer_problem
from koolflows.fronts.rest.reading import BoundedJSONParser, OneRepresentation
from koolflows.services import Services
from koolflows.services.principals import Principal, require


class HoldsPermission(BasePermission):
    """Lets in who holds the permission that the endpoint names for the method."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return True, or raise what the problem document needs."""
        if request.auth is None:
            return False
        permission = cast("Endpoint", view).permissions.get(request.method or "")
        if permission is not None:
            require(principal_of(request), permission)
        return True


class Endpoint(APIView):
    """One address: `permissions` names what each method needs; the services check it again."""

    authentication_classes: Sequence[type[BaseAuthentication]] = (BearerAuthentication,)
    permission_classes: Sequence[type[BasePermission]] = (HoldsPermission,)
    parser_classes = (BoundedJSONParser,)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = OneRepresentation
    throttle_classes = ()
    metadata_class = None
    http_method_names = ["get", "head", "post"]  # noqa: RUF012  # As Django's own View has it.
    permissions: ClassVar[Mapping[str, str]] = {}

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response]:
        """Return the handler that makes problem documents."""
        return answer_problem

    @property
    def allowed_methods(self) -> list[str]:
        """The methods with a handler, for the Allow field."""
        return [name.upper() for name in self.http_method_names if hasattr(self, name)]


def principal_of(request: Request) -> Principal:
    """Return who acts; only after authentication."""
    return cast("Principal", request.auth)


def services_of(request: Request) -> Services:
    """Return the use cases, which a middleware hung on the request."""
    return cast("Services", request._request.services)  # type: ignore[attr-defined]  # noqa: SLF001


def clock() -> datetime:
    """Return the present time, aware, in UTC: the one place where this front reads it."""
    return datetime.now(tz=UTC)
