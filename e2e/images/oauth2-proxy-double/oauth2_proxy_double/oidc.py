"""The code flow with Keycloak: PKCE, nonce, tokens checked by signature, issuer, audience, time."""

import base64
import hashlib
import json
import time
import urllib.request
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode

import jwt

from oauth2_proxy_double.sessions import Session
from oauth2_proxy_double.settings import Settings

SECONDS = 10
SIGN_OUT_SECONDS = 60


class FlowError(Exception):
    """Keycloak said no, or its answer does not hold."""


class Provider:
    """The provider that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys = jwt.PyJWKClient(settings.oidc_jwks_url, lifespan=300, timeout=SECONDS)

    def login_address(self, *, state: str, nonce: str, verifier: str) -> str:
        """Return where the browser goes to sign in."""
        challenge = hashlib.sha256(verifier.encode()).digest()
        query = {
            "client_id": self._settings.client_id,
            "code_challenge": base64.urlsafe_b64encode(challenge).decode().rstrip("="),
            "code_challenge_method": "S256",
            "nonce": nonce,
            "redirect_uri": self._settings.redirect_url,
            "response_type": "code",
            "scope": self._settings.scope,
            "state": state,
        }
        return f"{self._settings.login_url}?{urlencode(query)}"

    def redeem(self, code: str, *, verifier: str, nonce: str) -> Session:
        """Turn the code into a session; raises FlowError."""
        answer = self._token(
            grant_type="authorization_code",
            code=code,
            redirect_uri=self._settings.redirect_url,
            code_verifier=verifier,
        )
        claims = self._claims(answer["id_token"])
        if claims.get("nonce") != nonce:
            raise FlowError("id_token nonce claim must match the nonce of this sign-in")
        return self._session(answer, claims, "")

    def refresh(self, session: Session) -> Session:
        """Return the session with fresh tokens; raises FlowError."""
        answer = self._token(grant_type="refresh_token", refresh_token=session.refresh_token)
        id_token = answer.get("id_token", session.id_token)
        return self._session(answer | {"id_token": id_token}, self._claims(id_token), session.user)

    def sign_out(self, session: Session) -> None:
        """End the session at Keycloak, behind the browser; its failure is the caller's to log."""
        address = self._settings.backend_logout_url.replace("{id_token}", session.id_token)
        # The original sets no limit here: Keycloak tells each service before it answers, and a
        # browser that went on sooner would find its session there still open.
        limit = SIGN_OUT_SECONDS
        with urllib.request.urlopen(address, timeout=limit):  # noqa: S310  # From our settings.
            pass

    def _session(self, answer: dict[str, Any], claims: dict[str, Any], before: str) -> Session:
        if before and claims["sub"] != before:
            raise FlowError("the refreshed token speaks for somebody else")
        groups = claims.get(self._settings.oidc_groups_claim)
        if groups is None or "email" not in claims:
            claims = self._profile(answer["access_token"]) | claims
            groups = claims.get(self._settings.oidc_groups_claim, [])
        if claims.get("email_verified") is False:
            raise FlowError(f"email in id_token ({claims.get('email')}) isn't verified")
        now = time.time()
        return Session(
            user=claims["sub"],
            email=claims.get("email", claims["sub"]),
            preferred_username=claims.get("preferred_username", ""),
            groups=list(groups),
            id_token=answer["id_token"],
            access_token=answer["access_token"],
            refresh_token=answer.get("refresh_token", ""),
            created_at=now,
            expires_at=float(claims["exp"]),
        )

    def _claims(self, id_token: str) -> dict[str, Any]:
        try:
            key = self._keys.get_signing_key_from_jwt(id_token)
            claims: dict[str, Any] = jwt.decode(
                id_token,
                key,
                algorithms=["RS256"],
                audience=self._settings.client_id,
                issuer=self._settings.oidc_issuer_url,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
                leeway=5,
            )
        except jwt.PyJWTError as error:
            raise FlowError(f"the ID token does not hold: {error}") from error
        return claims

    def _token(self, **form: str) -> dict[str, Any]:
        form |= {
            "client_id": self._settings.client_id,
            "client_secret": self._settings.client_secret,
        }
        request = urllib.request.Request(  # noqa: S310  # From our settings.
            self._settings.redeem_url, data=urlencode(form).encode()
        )
        return self._ask(request)

    def _profile(self, access_token: str) -> dict[str, Any]:
        return self._ask(
            urllib.request.Request(  # noqa: S310  # From our settings.
                self._settings.profile_url, headers={"Authorization": f"Bearer {access_token}"}
            )
        )

    def _ask(self, request: urllib.request.Request) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
                found: dict[str, Any] = json.loads(answer.read(1024 * 1024))
        except (URLError, OSError, ValueError) as error:
            raise FlowError(f"{request.full_url} failed: {error}") from error
        return found
