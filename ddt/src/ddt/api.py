"""The platform's REST API, spoken as any client speaks it, but without DNS.

Connects to 127.0.0.1 with the name and port of the platform's own address, and trusts only the
root in DDT_HOME.
"""

import os
import re
import ssl
from typing import Any

import httpx

from ddt import secret_files
from ddt.errors import TroubleError
from ddt.settings import Settings

TIMEOUT_SECONDS = 30.0
TOKEN = "cli-token"  # noqa: S105  # The file's name.
TOKEN_VARIABLE = "DDT_TOKEN"  # noqa: S105  # The variable's name.
_TOKEN_SHAPE = re.compile(r"[\x21-\x7e]{1,200}")
_UNAUTHORIZED = 401


class Client:
    """Calls `/api/v1/`; every failure is a TroubleError with a sentence."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        root = settings.tls / "root.pem"
        if not root.is_file():
            raise TroubleError(
                f"There is no platform in {settings.home} yet: its root certificate is missing. "
                "Start it with 'ddt up'.",
            )
        try:
            context = ssl.create_default_context(cafile=str(root))
        except (OSError, ssl.SSLError) as error:
            raise TroubleError(
                f"The root certificate {root} cannot be used: {error}. Start the platform with "
                "'ddt up', which writes it again.",
            ) from error
        self._http = httpx.Client(
            verify=context,
            trust_env=False,
            timeout=TIMEOUT_SECONDS,
            base_url=f"https://127.0.0.1:{settings.https_port}/api/v1/",
            headers={
                "Host": settings.portal.removeprefix("https://"),
                "Authorization": f"Bearer {_token(settings)}",
                "Accept": "application/json",
            },
        )

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """Return the JSON object at the path."""
        return self._call("GET", path, params=query)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post a JSON object and return the answer."""
        return self._call("POST", path, json=body)

    def delete(self, path: str) -> dict[str, Any]:
        """Delete what is at the path."""
        return self._call("DELETE", path)

    def _call(self, method: str, path: str, **what: Any) -> dict[str, Any]:  # noqa: ANN401  # httpx's own.
        try:
            response = self._http.request(
                method, path, extensions={"sni_hostname": self._settings.host}, **what
            )
        except httpx.ConnectError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise TroubleError(
                    f"Port {self._settings.https_port} is answered with a certificate that our "
                    "root has not signed. Another platform may run there: 'ddt status' and "
                    "DDT_HTTPS_PORT tell.",
                ) from error
            raise TroubleError(
                f"The platform does not answer on port {self._settings.https_port}. Start it with "
                "'ddt up', or see 'ddt status'.",
            ) from error
        except httpx.HTTPError as error:
            raise TroubleError(
                f"The platform did not answer in full: {str(error) or type(error).__name__}. See "
                "'ddt status' and 'ddt logs web'.",
            ) from error
        if response.is_success:
            return _object(response)
        raise self._trouble(response)

    def _trouble(self, response: httpx.Response) -> TroubleError:
        problem = _object(response)
        if "detail" not in problem:
            return TroubleError(
                f"The platform answered {response.status_code} where an answer in JSON was due. It "
                "may be starting or stopping: 'ddt status' tells.",
            )
        sentence = f"{problem['detail']} ({problem.get('code', response.status_code)})"
        if response.status_code == _UNAUTHORIZED:
            file = self._settings.secrets / TOKEN
            sentence += (
                f" The token came from {TOKEN_VARIABLE}: put another there, or unset it to use the "
                "command's own."
                if os.environ.get(TOKEN_VARIABLE)
                else f" The command's own token is in {file}: to get a new one, remove that file "
                "and run 'ddt manage bootstrap'."
            )
        return TroubleError(sentence, problem=problem)


def _token(settings: Settings) -> str:
    """Return the token that the environment names, or the command's own on this machine."""
    named = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not named:
        return secret_files.read(settings.secrets, TOKEN)
    if not _TOKEN_SHAPE.fullmatch(named):
        raise TroubleError(
            f"{TOKEN_VARIABLE} holds no token: 1 to 200 visible ASCII characters. "
            "'ddt token create' makes one.",
        )
    return named


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
