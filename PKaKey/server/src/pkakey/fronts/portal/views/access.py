"""Who is looking: each screen names the permission that it needs."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase

from pkakey.services import Services
from pkakey.services.errors import NotFound, NotPermitted
from pkakey.services.principals import Principal, require

Arguments = ParamSpec("Arguments")
NAMESPACE_KEY = "namespace_id"


class PortalRequest(HttpRequest):
    """A request of a signed-in person, with the use cases that a middleware hung on it."""

    services: Services
    principal: Principal
    request_id: str


View = Callable[Concatenate[PortalRequest, Arguments], HttpResponseBase]


def screen(permission: str) -> Callable[[View[Arguments]], Callable[..., HttpResponseBase]]:
    """Let in who is signed in and holds the permission; others get the sign-in page or 403."""

    def decorate(view: View[Arguments]) -> Callable[..., HttpResponseBase]:
        @login_required
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # noqa: ANN401
            own = cast("PortalRequest", request)
            try:
                own.principal = principal_of(own)
                require(own.principal, permission)
                return view(own, *args, **kwargs)
            except NotPermitted as error:
                raise PermissionDenied(str(error)) from error
            except NotFound as error:
                raise Http404(str(error)) from error

        return cast("Callable[..., HttpResponseBase]", guarded)

    return decorate


def principal_of(request: PortalRequest) -> Principal:
    """Return the signed-in person's principal in the namespace that the session names."""
    chosen = request.session.get(NAMESPACE_KEY)
    return request.services.principal_of_user(
        user_id=int(request.user.pk or 0),
        namespace_id=UUID(chosen) if chosen else None,
        request_id=getattr(request, "request_id", ""),
    )


def clock() -> datetime:
    """Return the present time, aware, in UTC: the one place where this front reads it."""
    return datetime.now(tz=UTC)
