"""The server: the same paths as oauth2-proxy's."""

import ipaddress
import json
import secrets
import signal
import sys
import threading
import time
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from redis import Redis
from redis.exceptions import RedisError

from oauth2_proxy_double import settings as settings_module
from oauth2_proxy_double.oidc import FlowError, Provider
from oauth2_proxy_double.sessions import COOKIE, LockFailed, Session, Signer, Store, Ticket
from oauth2_proxy_double.settings import Settings

CSRF = f"{COOKIE}_csrf"
CSRF_SECONDS = 900


@dataclass(frozen=True)
class Parts:
    """What the handler works with."""

    settings: Settings
    provider: Provider
    store: Store
    signer: Signer


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server_version = "oauth2-proxy-double"
    sys_version = ""
    parts: Parts

    def do_GET(self) -> None:
        """Answer every path; HEAD and POST are answered alike."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        answers = {
            "/ping": self.ping, "/ready": self.ready, "/robots.txt": self.robots,
            "/oauth2/auth": self.auth, "/oauth2/start": self.start, "/oauth2/sign_in": self.start,
            "/oauth2/callback": self.callback, "/oauth2/sign_out": self.sign_out,
            "/oauth2/userinfo": self.userinfo,
        }  # fmt: skip
        try:
            answers.get(path, self.upstream)()
        except RedisError as error:
            self.log_error("redis: %s", error)
            self.answer(500, "Internal Server Error")

    do_HEAD = do_POST = do_GET  # noqa: N815  # http.server fixes the names.

    def ping(self) -> None:
        """Alive."""
        self.answer(200, "OK")

    def ready(self) -> None:
        """Alive, and Redis answers."""
        self.parts.store.is_ready()
        self.answer(200, "OK")

    def robots(self) -> None:
        """No page is for search engines."""
        self.answer(200, "User-agent: *\nDisallow: /\n")

    def upstream(self) -> None:
        """Behind ForwardAuth: 202 for who is signed in, else the way to sign in."""
        session = self.session()
        if session is not None:
            self.answer(202, "Authenticated", self.identity(session))
        elif "application/json" in self.headers.get("Accept", ""):
            self.answer(401, "{}", {"Content-Type": "application/json"})
        else:
            self.start(self.original_address())

    def auth(self) -> None:
        """202, or 401, or 403 without one of the groups."""
        session = self.session()
        if session is None:
            self.answer(401, "Unauthorized")
            return
        wanted = {g for text in self.query("allowed_groups") for g in text.split(",") if g}
        if wanted and not wanted & set(session.groups):
            self.answer(403, "Forbidden")
            return
        self.answer(202, "Authenticated", self.identity(session))

    def userinfo(self) -> None:
        """Who is signed in."""
        session = self.session()
        if session is None:
            self.answer(401, "Unauthorized")
            return
        body = {
            "user": session.user, "email": session.email, "groups": session.groups,
            "preferredUsername": session.preferred_username,
        }  # fmt: skip
        self.answer(200, json.dumps(body), {"Content-Type": "application/json"})

    def start(self, wanted: str | None = None) -> None:
        """Send the browser to Keycloak; what the answer must match goes into a sealed cookie."""
        back = wanted or next(iter(self.query("rd")), "/")
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        back = back if self.is_allowed(back) else "/"
        kept = json.dumps({"state": state, "nonce": nonce, "verifier": verifier, "back": back})
        address = self.parts.provider.login_address(state=state, nonce=nonce, verifier=verifier)
        signer = self.parts.signer
        cookie = self.cookie(CSRF, signer.sign(CSRF, signer.seal(kept)), CSRF_SECONDS)
        self.answer(302, "Found", {"Location": address, "Set-Cookie": cookie})

    def callback(self) -> None:
        """Take the code, when the browser is the one that started."""
        signer, signed = self.parts.signer, self.cookies().get(CSRF)
        opened = signer.open(CSRF, signed, CSRF_SECONDS) if signed else None
        kept = json.loads(signer.unseal(opened) or "null") if opened else None
        given = next(iter(self.query("state")), "")
        if not kept or not secrets.compare_digest(given.encode(), kept["state"].encode()):
            self.answer(403, "Unable to find a valid CSRF token. Please try again.")
            return
        code = next(iter(self.query("code")), "")
        if not code:
            self.log_error("sign-in failed: %s", next(iter(self.query("error")), "no code came"))
            self.answer(500, "Internal Server Error")
            return
        try:
            session = self.parts.provider.redeem(
                code, verifier=kept["verifier"], nonce=kept["nonce"]
            )
        except FlowError as error:
            self.log_error("sign-in failed: %s", error)
            self.answer(500, "Internal Server Error")
            return
        ticket = Ticket.new()
        self.parts.store.save(ticket, session)
        value = signer.sign(COOKIE, ticket.text)
        session_cookie = self.cookie(COOKIE, value, self.parts.settings.expire_seconds)
        back = {"Location": kept["back"]}
        self.answer(302, "Found", back, [session_cookie, self.cookie(CSRF, "", 0)])

    def sign_out(self) -> None:
        """Forget the session here and at Keycloak."""
        ticket = self.ticket()
        session = self.parts.store.load(ticket) if ticket else None
        if ticket:
            self.parts.store.clear(ticket)
        if session:
            try:
                self.parts.provider.sign_out(session)
            except OSError as error:
                self.log_error("back-channel sign-out failed: %s", error)
        back = next(iter(self.query("rd")), "/")
        back = back if self.is_allowed(back) else "/"
        self.answer(302, "Found", {"Location": back, "Set-Cookie": self.cookie(COOKIE, "", 0)})

    def session(self) -> Session | None:
        """Return who is signed in, refreshed when it is time."""
        ticket = self.ticket()
        session = self.parts.store.load(ticket) if ticket else None
        if ticket is None or session is None or not self.is_old(session):
            return session
        try:
            with self.parts.store.lock(ticket):
                session = self.parts.store.load(ticket)
                if session is None or not self.is_old(session):
                    return session
                fresh = self.parts.provider.refresh(session)
                self.parts.store.save(ticket, fresh)
                return fresh
        except (FlowError, LockFailed) as error:
            self.log_error("refresh failed: %s", error)
        if session is not None and session.expires_at < time.time():
            self.parts.store.clear(ticket)
            return None
        return session

    def is_old(self, session: Session) -> bool:
        """Tell whether it is time to refresh."""
        return time.time() - session.created_at > self.parts.settings.refresh_seconds

    def ticket(self) -> Ticket | None:
        """Return the ticket of the request's cookie, if its signature is ours."""
        signed = self.cookies().get(COOKIE)
        seconds = self.parts.settings.expire_seconds
        text = self.parts.signer.open(COOKIE, signed, seconds) if signed else None
        return Ticket.read(text) if text else None

    def cookies(self) -> dict[str, str]:
        """Return the request's cookies."""
        try:
            jar = SimpleCookie(self.headers.get("Cookie", ""))
        except CookieError:
            return {}
        return {name: morsel.value for name, morsel in jar.items()}

    def cookie(self, name: str, value: str, seconds: int) -> str:
        """Return a Set-Cookie header."""
        chosen = self.parts.settings
        secure = "; Secure" if chosen.cookie_secure == "true" else ""
        return (
            f"{name}={value}; Path=/; Domain={chosen.cookie_domains.lstrip('.')}; "
            f"Max-Age={seconds}; HttpOnly{secure}; SameSite={chosen.cookie_samesite.capitalize()}"
        )

    def identity(self, session: Session) -> dict[str, str]:
        """Return the headers that say who is signed in."""
        return {
            "X-Auth-Request-User": session.user,
            "X-Auth-Request-Email": session.email,
            "X-Auth-Request-Preferred-Username": session.preferred_username,
            "X-Auth-Request-Groups": ",".join(session.groups),
        }

    def query(self, name: str) -> list[str]:
        """Return the values of a query parameter."""
        return parse_qs(urlsplit(self.path).query).get(name, [])

    def original_address(self) -> str:
        """Return what the browser asked the gateway for; only a trusted proxy may tell."""
        peer = ipaddress.ip_address(self.client_address[0])
        trusted = self.parts.settings.trusted_proxy_ips.split(",")
        if not any(peer in ipaddress.ip_network(network) for network in trusted):
            return "/"
        scheme, host, uri = (
            self.headers.get(f"X-Forwarded-{name}", "") for name in ("Proto", "Host", "Uri")
        )
        return f"{scheme}://{host}{uri}" if scheme and host else "/"

    def is_allowed(self, address: str) -> bool:
        """Tell whether the browser may be sent there: our own paths and the domains of the list."""
        if address.startswith("/"):
            return not address.startswith(("//", "/\\"))
        try:
            parts = urlsplit(address)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return False
        if parts.scheme not in {"http", "https"}:
            return False
        for allowed in self.parts.settings.whitelist_domains.split(","):
            name, _, wanted = allowed.partition(":")
            fits = host.endswith(name) if name.startswith(".") else host == name
            if fits and (wanted == "*" or port is None or wanted == str(port)):
                return True
        return False

    def answer(
        self,
        status: int,
        body: str,
        headers: dict[str, str] | None = None,
        cookies: list[str] | None = None,
    ) -> None:
        """Send the answer."""
        octets = body.encode()
        self.send_response(status)
        for name, value in ({"Content-Type": "text/plain"} | (headers or {})).items():
            self.send_header(name, value)
        for cookie in cookies or []:
            self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(octets)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log no query: it may hold a code."""
        if self.path not in {"/ping", "/ready"}:
            path = urlsplit(self.path).path
            sys.stderr.write(f"{self.command} {path} {int(code)} {size}\n")


def main() -> None:
    """Serve until SIGTERM."""
    if sys.argv[1:]:
        sys.exit("This double of oauth2-proxy takes OAUTH2_PROXY_… variables and no flags.")
    chosen = settings_module.load()
    redis = Redis.from_url(
        chosen.redis_connection_url, username=chosen.redis_username,
        password=chosen.redis_password, socket_timeout=5, socket_connect_timeout=5,
    )  # fmt: skip
    Handler.parts = Parts(
        chosen, Provider(chosen), Store(redis, chosen.expire_seconds), Signer(chosen.cookie_key)
    )
    host, _, port = chosen.http_address.rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), Handler)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    sys.stderr.write("This is a test double of oauth2-proxy; it is for theDDT's tests only.\n")
    server.serve_forever()


if __name__ == "__main__":
    main()
