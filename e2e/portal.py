"""A person in the portal, through the real gateway, with forms as a browser sends them."""

import re
import ssl
from dataclasses import dataclass, field

import httpx

from e2e.native_platform import Platform

PASSWORD = "correct horse battery staple"  # Of people who live for one test run.
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


@dataclass
class Portal:
    """One browser without script: cookies, and the token of the last form."""

    platform: Platform
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        """Trust only the platform's root, and find the gateway without DNS."""
        host = self.platform.portal.removeprefix("https://")
        self.http = httpx.Client(
            base_url=f"https://127.0.0.1:{self.platform.https_port}",
            verify=ssl.create_default_context(cafile=str(self.platform.root())),
            headers={"Host": host, "Referer": f"{self.platform.portal}/", "Accept": "text/html"},
            trust_env=False,
            timeout=60,
        )

    def get(self, path: str) -> httpx.Response:
        """Fetch a page."""
        return self._ask("GET", path)

    def post(
        self, path: str, data: dict[str, str], files: dict[str, tuple[str, bytes]] | None = None
    ) -> httpx.Response:
        """Fetch the form at the path for its token, then send it."""
        return self.send(path, path, data, files)

    def send(
        self,
        form: str,
        path: str,
        data: dict[str, str],
        files: dict[str, tuple[str, bytes]] | None = None,
    ) -> httpx.Response:
        """Send what the form on one page would, to another path."""
        found = _TOKEN.search(self.get(form).text)
        assert found is not None, f"{form} has no form"
        return self._ask("POST", path, data={**data, "csrfmiddlewaretoken": found[1]}, files=files)

    def sign_in(self, username: str, one_time: str) -> None:
        """Sign in with a one-time password and choose one's own, as the portal demands."""
        form = {"login": username, "password": one_time}
        answer = self.post("/accounts/login/", form)
        assert answer.status_code == 302, answer.text
        assert self.get("/portal/").headers["location"] == "/accounts/password/change/"
        form = {"oldpassword": one_time, "password1": PASSWORD, "password2": PASSWORD}
        answer = self.post("/accounts/password/change/", form)
        assert answer.status_code == 302, answer.text
        assert self.get("/portal/").status_code == 200

    def _ask(self, method: str, path: str, **what: object) -> httpx.Response:
        name = f"pkakey.{self.platform.domain}"
        return self.http.request(method, path, extensions={"sni_hostname": name}, **what)  # type: ignore[arg-type]
