"""The pages and endpoints of signing in and out at Keycloak."""

from datetime import timedelta
from typing import Any, Final, cast
from urllib.parse import urlsplit

from allauth.account.views import LogoutView
from allauth.idp.oidc.views import authorization
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from pkakey.fronts.oidc.relying import KeycloakAdapter, SignInRequest, clock
from pkakey.services.errors import ServiceUnavailable, Unauthenticated

SESSION_LIFE: Final = timedelta(hours=1)
"""Then the browser goes to Keycloak again, which lets it back without asking while its own session
lasts; so roles that were taken away are gone within this time, and a sign-out ends it at once."""
ID_TOKEN_KEY: Final = "oidc_id_token"  # noqa: S105  # A session key's name.
MAX_LOGOUT_BYTES: Final = 16 * 1024


@require_safe
@never_cache
def sign_in(request: HttpRequest) -> HttpResponseBase:
    """Send the browser to Keycloak: there is no form of ours."""
    wanted = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(wanted, {request.get_host()}):
        wanted = ""
    if request.user.is_authenticated:
        return redirect(wanted or "portal:dashboard")
    try:
        provider = get_adapter(request).get_provider(request, provider="keycloak")
    except SocialApp.DoesNotExist:
        raise Http404 from None
    return cast(
        "HttpResponseBase",
        provider.redirect(request, process=AuthProcess.LOGIN, next_url=wanted or None),
    )


@never_cache
def callback(request: HttpRequest) -> HttpResponseBase:
    """Take the code, sign the person in, and remember on which sign-in the session hangs."""
    own = cast("SignInRequest", request)
    try:
        view = OAuth2CallbackView.adapter_view(KeycloakAdapter(request))
        response = cast("HttpResponseBase", view(request))
    except SocialApp.DoesNotExist:
        raise Http404 from None
    caller = getattr(own, "oidc_caller", None)
    if caller is not None and request.user.is_authenticated:
        now = clock()
        request.session[ID_TOKEN_KEY] = own.oidc_id_token
        request.session.set_expiry(now + SESSION_LIFE)
        request.session.save()
        own.services.remember_sign_in(
            session_key=str(request.session.session_key),
            caller=caller,
            now=now,
            lasts=SESSION_LIFE,
        )
    return response


class SignOut(LogoutView):
    """Ends the session here, then at Keycloak, which ends it everywhere."""

    def get_redirect_url(self) -> str:
        """Return Keycloak's end-session address; no `next` may stop short of it."""
        own = cast("SignInRequest", self.request)
        return own.services.sign_out_url(id_token=own.session.get(ID_TOKEN_KEY, ""))


@csrf_exempt
@require_POST
@never_cache
def backchannel_logout(request: HttpRequest) -> HttpResponse:
    """Hear from Keycloak that a session ended (Back-Channel Logout 1.0, section 2.5)."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_LOGOUT_BYTES:
        return _refused("The logout token is too long.")
    token = request.POST.get("logout_token", "")
    if not token:
        return _refused("Send a form with one logout_token.")
    own = cast("SignInRequest", request)
    try:
        own.services.end_sign_ins(logout_token=token, now=clock())
    except Unauthenticated as error:
        return _refused(f"The logout token is not accepted ({error.reason}).")
    except ServiceUnavailable:
        return HttpResponse(status=503, headers={"Retry-After": "10"})
    return HttpResponse(status=200)


def _refused(why: str) -> HttpResponse:
    body: dict[str, Any] = {"error": "invalid_request", "error_description": why}
    return JsonResponse(body, status=400)


@require_safe
def jwks(request: HttpRequest) -> HttpResponse:
    """Publish the public keys of our own tokens (RFC 7517)."""
    try:
        content = cast("SignInRequest", request).services.token_jwks(now=clock())
    except ServiceUnavailable:
        return HttpResponse(status=503, headers={"Retry-After": "10"})
    return HttpResponse(
        content,
        content_type="application/jwk-set+json",
        headers={"Cache-Control": "public, max-age=300"},
    )


@require_safe
def discovery(request: HttpRequest) -> HttpResponse:
    """Say who signs, and by which keys, where people do not sign in here."""
    issuer = cast("SignInRequest", request).services.outside.public_url
    return JsonResponse({"issuer": issuer, "jwks_uri": f"{issuer}/.well-known/jwks.json"})


@csrf_exempt
def authorize(request: HttpRequest) -> HttpResponseBase:
    """Ask the person whether they let a program in; allauth checks the form's CSRF token itself.

    Browsers hold `form-action` against the redirect that answers the form, so the program's
    address, which was checked against the client's by then, is added for this page.
    """
    response = authorization(request)
    view = (getattr(response, "context_data", None) or {}).get("view")
    if view is not None:
        address = urlsplit(view._request_info["redirect_uri"])  # noqa: SLF001  # Nowhere else.
        origin = f"{address.scheme}://{address.netloc}"
        response._csp_update = {"form-action": [origin]}  # noqa: SLF001  # django-csp's own way.
    return cast("HttpResponseBase", response)
