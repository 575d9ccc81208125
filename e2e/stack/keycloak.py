"""Keycloak's administration, from the machine that the stack runs on: people and API clients."""

import json
import time
from dataclasses import dataclass
from typing import Any

import httpx

from e2e.stack.stack import Stack

PASSWORD = "correct horse battery staple 7"  # Of people who live for one test run.


@dataclass
class Keycloak:
    """The realm `theddt`, reached at its container's own address: the gateway has no such route."""

    stack: Stack
    administrators_token: str = ""
    _until: float = 0.0

    @property
    def _base(self) -> str:
        return f"http://{self.stack.inner('quewall_keycloak')}:8080"

    def admin(self, method: str, path: str, body: Any = None) -> httpx.Response:  # noqa: ANN401
        """Call the administration of the realm."""
        base = self._base
        if time.monotonic() > self._until:
            form = {
                "grant_type": "password", "client_id": "admin-cli", "username": "admin",
                "password": self.stack.secret("keycloak-admin-password"),
            }  # fmt: skip
            answer = httpx.post(
                f"{base}/realms/master/protocol/openid-connect/token", data=form, timeout=60
            )
            if not answer.is_success:
                raise httpx.HTTPStatusError(
                    f"Keycloak says {answer.status_code}: {answer.text[:300]}",
                    request=answer.request,
                    response=answer,
                )
            self.administrators_token, self._until = (
                answer.json()["access_token"],
                time.monotonic() + 30,
            )
        return httpx.request(
            method, f"{base}/admin/realms/theddt{path}", json=body, timeout=60,
            headers={"Authorization": f"Bearer {self.administrators_token}"},
        )  # fmt: skip

    def answers(self) -> bool:
        """Whether its administrator is signed in and hears of people, so its database is there."""
        self._until = 0
        try:
            return self.admin("GET", "/users/count").is_success
        except httpx.HTTPError:
            return False

    def person(self, username: str, group: str, *, namespace: str = "") -> None:
        """Make a person with a password, in a group such as /default/admins."""
        made = self.admin(
            "POST",
            "/users",
            {
                "username": username,
                "email": f"{username}@example.com",
                "emailVerified": True,
                "firstName": username.title(),
                "lastName": "Example",
                "enabled": True,
                "groups": [group],
                "credentials": [{"type": "password", "value": PASSWORD, "temporary": False}],
                **({"attributes": {"namespace": [namespace]}} if namespace else {}),
            },
        )
        # In a stack that is kept for writing tests, they are there already.
        assert made.status_code in {201, 409}, made.text

    def client(self, name: str, *roles: str, audiences: bool = True, seconds: int = 300) -> str:
        """Make an API client as QueWall/keycloak/api-client.json has it; return its secret."""
        wanted = json.loads((self.stack.folder / "QueWall/keycloak/api-client.json").read_text())
        wanted["clientId"] = name
        wanted["attributes"]["access.token.lifespan"] = str(seconds)
        if not audiences:
            wanted["protocolMappers"] = [
                mapper
                for mapper in wanted["protocolMappers"]
                if mapper["protocolMapper"] != "oidc-audience-mapper"
            ]
        assert self.admin("POST", "/clients", wanted).status_code in {201, 409}
        (made,) = self.admin("GET", f"/clients?clientId={name}").json()
        account = self.admin("GET", f"/clients/{made['id']}/service-account-user").json()
        account["attributes"] = {"namespace": ["default"]}
        self.admin("PUT", f"/users/{account['id']}", account).raise_for_status()
        known = [self.admin("GET", f"/roles/{role}").json() for role in roles]
        for path in (
            f"/users/{account['id']}/role-mappings/realm",
            f"/clients/{made['id']}/scope-mappings/realm",
        ):
            self.admin("POST", path, known).raise_for_status()
        secret: str = self.admin("GET", f"/clients/{made['id']}/client-secret").json()["value"]
        return secret

    def token(self, client: str, secret: str) -> str:
        """Return an access token by client credentials, through the gateway as programs get it."""
        answer = self.stack.ask(
            "keycloak",
            "/realms/theddt/protocol/openid-connect/token",
            method="POST",
            data={
                "grant_type": "client_credentials", "client_id": client, "client_secret": secret,
            },
        ).raise_for_status()  # fmt: skip
        token: str = answer.json()["access_token"]
        return token
