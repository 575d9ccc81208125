"""Keycloak as allauth knows a provider. allauth finds this module by its name."""

from typing import Any, ClassVar

from allauth.socialaccount.providers.base import ProviderAccount
from allauth.socialaccount.providers.oauth2.provider import OAuth2Provider
from django.http import HttpRequest

from pkakey.fronts.oidc.relying import KeycloakAdapter


class KeycloakProvider(OAuth2Provider):
    """Code flow with PKCE; the request's query cannot change what is asked for."""

    id = "keycloak"
    name = "Keycloak"
    account_class = ProviderAccount
    oauth2_adapter_class = KeycloakAdapter
    pkce_enabled_default = True
    supports_token_authentication: ClassVar[bool] = False

    def get_default_scope(self) -> list[str]:
        """Return what is asked for."""
        return ["openid", "profile", "email"]

    def get_scope_from_request(self, request: HttpRequest) -> list[str]:  # noqa: ARG002
        """Return the same, whatever the query says."""
        return self.get_default_scope()

    def get_auth_params_from_request(
        self,
        request: HttpRequest,  # noqa: ARG002
        action: str,  # noqa: ARG002
    ) -> dict[str, str]:
        """Return nothing: the query adds no parameters."""
        return {}

    def extract_uid(self, data: dict[str, Any]) -> str:
        """Return the subject."""
        return str(data["sub"])

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return nothing: `services.admit` sets what a person is called."""
        return {}

    def extract_extra_data(self, data: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Keep nothing of the tokens in the database."""
        return {}


provider_classes = [KeycloakProvider]
