"""What differs where people sign in at Keycloak (PKAKEY_OIDC_ISSUER is set)."""

from typing import Any
from urllib.parse import urlsplit

from pkakey.config.settings_base import CONTENT_SECURITY_POLICY


def relying_settings(*, issuer: str, client_id: str, client_secret: str) -> dict[str, Any]:
    """Return the settings that stand in place of the native ones."""
    address = urlsplit(issuer)
    directives = CONTENT_SECURITY_POLICY["DIRECTIVES"]
    keycloak = f"{address.scheme}://{address.netloc}"
    return {
        "ROOT_URLCONF": "pkakey.config.urls_relying",
        "SOCIALACCOUNT_PROVIDERS": {
            "keycloak": {"APPS": [{"client_id": client_id, "secret": client_secret}]}
        },
        # The sign-out's form is answered by a redirect to Keycloak.
        "CONTENT_SECURITY_POLICY": {
            "DIRECTIVES": {
                **directives,
                "form-action": [*directives["form-action"], keycloak],
            }
        },
        "ACCOUNT_REAUTHENTICATION_REQUIRED": False,
    }
