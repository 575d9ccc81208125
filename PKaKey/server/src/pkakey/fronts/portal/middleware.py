"""What holds for every request of a signed-in person."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse


class PasswordChangeRequired:
    """Until a one-time password is changed, a person may change it or sign out, nothing else.

    The REST API refuses such a person by itself, with a problem document; so its paths pass here.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Lead to the form, or pass on."""
        user = request.user
        if (
            user.is_authenticated
            and getattr(user, "must_change_password", False)
            and not self._is_open(request.path)
        ):
            return redirect("account_change_password")
        return self.get_response(request)

    @staticmethod
    def _is_open(path: str) -> bool:
        return path in {
            reverse("account_change_password"),
            reverse("account_logout"),
        } or path.startswith((str(settings.STATIC_URL), "/api/", "/healthz", "/readyz"))
