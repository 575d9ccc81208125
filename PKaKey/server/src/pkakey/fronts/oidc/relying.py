"""Signing in at Keycloak: exchange the code, check the tokens, bring the person in step."""

from datetime import UTC, datetime
from typing import Any, cast

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin, SocialToken
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2Adapter
from django.http import HttpRequest
from django.shortcuts import render
from theddt_identity import Caller

from pkakey.services import Services
from pkakey.services.errors import NotFound, ServiceUnavailable, Unauthenticated
from pkakey.services.outside import SignInProvider


class SignInRequest(HttpRequest):
    """A request on its way through the sign-in."""

    services: Services
    oidc_caller: Caller
    oidc_id_token: str


def provider_of(request: HttpRequest) -> SignInProvider:
    """Return Keycloak's addresses; raises `NotFound` where people sign in here."""
    provider = cast("SignInRequest", request).services.outside.sign_in
    if provider is None:
        raise NotFound("sign-in provider")
    return provider


class KeycloakAdapter(OAuth2Adapter):
    """The addresses: public ones for the browser, internal ones for this process."""

    provider_id = "keycloak"
    basic_auth = True

    @property
    def authorize_url(self) -> str:
        """Where the browser goes."""
        return provider_of(self.request).authorization_url

    @property
    def access_token_url(self) -> str:
        """Where the code is exchanged."""
        return provider_of(self.request).token_url

    def complete_login(
        self,
        request: HttpRequest,
        app: Any,  # noqa: ANN401, ARG002  # allauth is untyped.
        token: SocialToken,
        **kwargs: Any,  # noqa: ANN401
    ) -> SocialLogin:
        """Check both tokens ourselves: the way to Keycloak may be plain HTTP."""
        own = cast("SignInRequest", request)
        id_token = kwargs["response"].get("id_token")
        try:
            own.oidc_caller = own.services.verify_sign_in(
                access_token=str(token.token), id_token=str(id_token or ""), now=clock()
            )
        except (Unauthenticated, ServiceUnavailable) as error:
            raise OAuth2Error(str(error)) from error
        own.oidc_id_token = str(id_token)
        return self.get_provider().sociallogin_from_response(
            request, {"sub": own.oidc_caller.subject}
        )


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """People are made and changed by what Keycloak says, at each sign-in."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:  # noqa: ARG002
        """Return False: who is let in exists by then."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Bring the person in step, before allauth signs them in; or say why not."""
        own = cast("SignInRequest", request)
        try:
            own.services.admit(own.oidc_caller, now=clock())
        except NotFound:
            content = {"namespace": own.oidc_caller.namespace, "name": own.oidc_caller.username}
            raise ImmediateHttpResponse(
                render(request, "oidc/no_namespace.html", content, status=403)
            ) from None
        if sociallogin.is_existing:
            sociallogin.user.refresh_from_db()
        else:
            sociallogin.lookup()


def clock() -> datetime:
    """Return the present time, aware, in UTC: the one place where this front reads it."""
    return datetime.now(tz=UTC)
