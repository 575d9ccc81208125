"""Keycloak's side of its secrets, told by its administration from inside the platform's network."""

import json

from ddt.containers.engine import Compose
from ddt.errors import TroubleError

# In a container that reaches Keycloak and has Python. What is secret comes by standard input.
_TELL = """
import json, sys
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen
said = json.load(sys.stdin)
def call(method, path, body=None, token=None):
    form = token is None
    data = None if body is None else (urlencode(body) if form else json.dumps(body)).encode()
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    headers = {"Content-Type": kind, **({} if form else {"Authorization": "Bearer " + token})}
    request = Request("http://quewall_keycloak:8080" + path, data, headers, method=method)
    with urlopen(request, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text else None
token = None
for password in said["passwords"]:
    form = {"grant_type": "password", "client_id": "admin-cli", "username": said["username"],
            "password": password}
    try:
        token = call("POST", "/realms/master/protocol/openid-connect/token", form)["access_token"]
        break
    except HTTPError as error:
        if error.code not in (400, 401):
            raise
if token is None:
    sys.exit("Keycloak does not take the password in keycloak-admin-password.")
base = "/admin/realms/" + said["realm"]
if "client" in said:
    found = call("GET", base + "/clients?clientId=" + quote(said["client"]), token=token)
    if not found:
        sys.exit("Keycloak knows no client " + said["client"])
    call("PUT", base + "/clients/" + found[0]["id"], {**found[0], "secret": said["value"]}, token)
else:
    found = call("GET", base + "/users?exact=true&username=" + quote(said["username"]), token=token)
    if not found:
        sys.exit("Keycloak's realm master knows no " + said["username"])
    change = {"type": "password", "temporary": False, "value": said["value"]}
    call("PUT", base + "/users/" + found[0]["id"] + "/reset-password", change, token)
"""
_FROM = "pkakey_celery_worker"


def set_client_secret(
    compose: Compose, *, client: str, value: str, username: str, passwords: list[str]
) -> None:
    """Give the client of the realm `theddt` this secret; the one before ends."""
    _tell(
        compose,
        {"realm": "theddt", "client": client, "value": value, "username": username,
         "passwords": passwords},
    )  # fmt: skip


def set_administrators_password(
    compose: Compose, *, value: str, username: str, passwords: list[str]
) -> None:
    """Give the administrator of the realm `master` this password."""
    _tell(
        compose,
        {"realm": "master", "value": value, "username": username, "passwords": passwords},
    )


def _tell(compose: Compose, said: dict[str, object]) -> None:
    try:
        words = ("exec", "-T", _FROM, "python", "-c", _TELL)
        compose.run(*words, data=json.dumps(said).encode(), timeout=180)
    except TroubleError as error:
        raise TroubleError(
            f"Keycloak was not told: {error} Nothing was changed that does not work; run the "
            "command again when 'docker compose ps' shows quewall_keycloak healthy.",
        ) from error
