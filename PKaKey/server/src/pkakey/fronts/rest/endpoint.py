"""What every address of the API shares: who may enter, how bodies are read, how errors look."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, cast

from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from pkakey.fronts.rest.authentication import BearerAuthentication, BrowserSessionAuthentication
from pkakey.fronts.rest.problems import Problem, answer_problem
from pkakey.fronts.rest.reading import BoundedJSONParser, OneRepresentation
from pkakey.services import Services
from pkakey.services.errors import NotPermitted
from pkakey.services.principals import Principal


class HoldsPermission(BasePermission):
    """Lets in who holds the permission that the endpoint names for the method."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return True, or raise what the problem document needs."""
        permission = cast("Endpoint", view).permissions.get(request.method or "")
        if permission is None:
            # No handler for this method: 405 follows.
            return True
        if request.auth is None:
            return False
        principal = principal_of(request)
        # "this or that": one of them is enough.
        if not any(principal.can(one) for one in permission.split(" or ")):
            raise NotPermitted(permission)
        return True


class Endpoint(APIView):
    """One address: `permissions` names what each method needs; the handlers do the rest.

    `a or b` is held by who holds one of them.

    Everything is set here and not in `REST_FRAMEWORK`, since other applications in the same
    process (the CMS) use the same framework by its defaults.
    """

    authentication_classes: Sequence[type[BaseAuthentication]] = (
        BearerAuthentication,
        BrowserSessionAuthentication,
    )
    permission_classes: Sequence[type[BasePermission]] = (HoldsPermission,)
    parser_classes = (BoundedJSONParser,)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = OneRepresentation
    throttle_classes = ()
    metadata_class = None
    http_method_names = [  # noqa: RUF012  # As Django's own View declares it.
        "get",
        "head",
        "post",
        "delete",
    ]
    permissions: ClassVar[Mapping[str, str]] = {}

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response]:
        """Return the handler that makes problem documents."""
        return answer_problem

    @property
    def allowed_methods(self) -> list[str]:
        """The methods with a handler, for the Allow field."""
        return [name.upper() for name in self.http_method_names if hasattr(self, name)]

    def http_method_not_allowed(  # type: ignore[override]
        self,
        request: Request,  # noqa: ARG002
        *args: Any,  # noqa: ANN401, ARG002
        **kwargs: Any,  # noqa: ANN401, ARG002
    ) -> Response:
        """Refuse the method and name those that are allowed (RFC 9110 section 15.5.6)."""
        allow = ", ".join(self.allowed_methods)
        raise Problem(
            "method.not-allowed",
            f"This address does not know that method. It knows: {allow}.",
            headers={"Allow": allow},
        )


def principal_of(request: Request) -> Principal:
    """Return who acts; only after authentication."""
    return cast("Principal", request.auth)


def services_of(request: Request) -> Services:
    """Return the use cases, which a middleware hung on the request."""
    return cast("Services", request._request.services)  # type: ignore[attr-defined]  # noqa: SLF001


def clock() -> datetime:
    """Return the present time, aware, in UTC: the one place where this front reads it."""
    return datetime.now(tz=UTC)
