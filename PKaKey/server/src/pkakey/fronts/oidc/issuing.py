"""PKaKey as OpenID Connect provider, by allauth: whose claims, whose keys, which issuer."""

from collections.abc import Iterable
from typing import Any, cast

from allauth.idp.oidc.adapter import DefaultOIDCAdapter
from allauth.idp.oidc.internal.private_keys import filter_keys
from allauth.idp.oidc.models import Client, PrivateKey
from django.urls import reverse

from pkakey.fronts.oidc.relying import SignInRequest, clock
from pkakey.services import Services
from pkakey.services.errors import NotPermitted
from pkakey.services.oidc_clients import AUDIENCES


class ProviderAdapter(DefaultOIDCAdapter):
    """The issuer is our public address, whatever host the request names."""

    @property
    def _services(self) -> Services:
        return cast("SignInRequest", self.request).services

    def get_issuer(self) -> str:
        """Return the public address of the portal."""
        return self._services.outside.public_url

    def list_private_keys(self, **which: Any) -> list[PrivateKey]:  # noqa: ANN401
        """Return the token keys, the signing one first."""
        keys = [PrivateKey(pem=pem) for pem in self._services.token_key_pems(now=clock())]
        return cast("list[PrivateKey]", filter_keys(keys, **which))

    def get_signing_key(self) -> PrivateKey:
        """Return the first key in the file."""
        return self.list_private_keys()[0]

    def populate_access_token(
        self,
        access_token: dict[str, Any],
        *,
        client: Client,
        scopes: Iterable[str],
        user: Any,  # noqa: ANN401  # allauth is untyped.
        **_: Any,  # noqa: ANN401
    ) -> None:
        """Add the claims that every service of theDDT reads (docs/identity.md)."""
        granted = set(scopes or ())
        audiences = [name for name in AUDIENCES if name in granted]
        access_token |= {
            "typ": "Bearer",
            "azp": client.id,
            "aud": audiences or client.id,
            "role": "web_user",
        }
        if user is not None:
            access_token |= self._person(user)
        else:
            # A program for itself has no rights until somebody gives it roles: use API tokens.
            access_token |= {"sub": client.id, "roles": [], "preferred_username": client.name}

    def populate_id_token(
        self,
        id_token: dict[str, Any],
        client: Client,
        scopes: Iterable[str],  # noqa: ARG002
        **_: Any,  # noqa: ANN401
    ) -> None:
        """Add the same claims to the ID token."""
        id_token["typ"] = "ID"
        # The program asks, not the person's browser: the request has no user.
        user = self.get_user_by_sub(client, str(id_token["sub"]))
        if user is not None:
            id_token |= self._person(user)

    def populate_server_metadata(self, data: dict[str, Any]) -> None:
        """Advertise what is really served, at our public address."""
        issuer = self.get_issuer()
        for name, value in data.items():
            if name.endswith(("_endpoint", "_uri")):
                data[name] = issuer + "/" + str(value).split("/", 3)[3]
        data["jwks_uri"] = issuer + reverse("jwks")
        data["response_types_supported"] = ["code"]
        data["grant_types_supported"] = ["authorization_code", "refresh_token"]
        data["scopes_supported"] = ["openid", "profile", "email", *AUDIENCES]
        data.pop("device_authorization_endpoint", None)

    def _person(self, user: Any) -> dict[str, Any]:  # noqa: ANN401
        claims = {
            "preferred_username": user.get_username(),
            "name": user.get_full_name() or user.get_username(),
            "email": user.email,
        }
        try:
            principal = self._services.principal_of_user(user_id=int(user.pk))
        except NotPermitted:
            return {**claims, "roles": []}
        return {
            **claims,
            "roles": sorted(principal.roles),
            "namespace": principal.namespace,
        }
