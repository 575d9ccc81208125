"""The settings, from the same OAUTH2_PROXY_… variables; one that is not known here is refused."""

import base64
import binascii
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

PREFIX = "OAUTH2_PROXY_"
_UNITS = {"s": 1, "m": 60, "h": 3600}
# Known, and right with one value only.
FIXED = {
    "PROVIDER": "oidc",
    "UPSTREAMS": "static://202",
    "SESSION_STORE_TYPE": "redis",
    "SKIP_OIDC_DISCOVERY": "true",
    "SKIP_PROVIDER_BUTTON": "true",
    "SET_XAUTHREQUEST": "true",
    "REVERSE_PROXY": "true",
    "CODE_CHALLENGE_METHOD": "S256",
    "EMAIL_DOMAINS": "*",
}
IGNORED = {"PROVIDER_DISPLAY_NAME", "SILENCE_PING_LOGGING"}


@dataclass(frozen=True)
class Settings:
    """What the double works with; names are the variables' in lower case."""

    http_address: str
    client_id: str
    client_secret_file: str
    cookie_secret_file: str
    scope: str
    oidc_issuer_url: str
    login_url: str
    redeem_url: str
    oidc_jwks_url: str
    profile_url: str
    backend_logout_url: str
    redirect_url: str
    oidc_groups_claim: str
    trusted_proxy_ips: str
    whitelist_domains: str
    cookie_domains: str
    cookie_secure: str
    cookie_samesite: str
    cookie_refresh: str
    cookie_expire: str
    redis_connection_url: str
    redis_username: str
    redis_password: str

    @property
    def client_secret(self) -> str:
        """The client's secret."""
        return Path(self.client_secret_file).read_text(encoding="utf-8")

    @property
    def cookie_key(self) -> bytes:
        """The key that signs and seals cookies: 16, 24 or 32 octets."""
        octets = Path(self.cookie_secret_file).read_bytes()
        for key in (decoded(octets), octets):
            if len(key) in {16, 24, 32}:
                return key
        sys.exit("cookie_secret must be 16, 24, or 32 bytes to create an AES cipher")

    @property
    def refresh_seconds(self) -> int:
        """After how long the session is refreshed."""
        return duration(self.cookie_refresh)

    @property
    def expire_seconds(self) -> int:
        """After how long the session ends."""
        return duration(self.cookie_expire)


def decoded(octets: bytes) -> bytes:
    """Return the octets of a base64 text, or nothing when it is none."""
    try:
        return base64.b64decode(octets + b"=" * (-len(octets) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""


def duration(text: str) -> int:
    """Return the seconds of a text such as 4m or 10h."""
    found = re.fullmatch(r"(\d+)([smh])", text)
    if found is None:
        sys.exit(f"'{text}' is no duration such as 4m or 10h")
    return int(found[1]) * _UNITS[found[2]]


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the environment; every variable that is wrong, missing or not known ends the program."""
    given = {k.removeprefix(PREFIX): v for k, v in environment.items() if k.startswith(PREFIX)}
    names = {field.name.upper() for field in fields(Settings)}
    problems = [
        f"unknown flag: {PREFIX}{name}"
        for name in sorted(set(given) - names - set(FIXED) - IGNORED)
    ]
    problems += [f"missing setting: {PREFIX}{name}" for name in sorted(names - set(given))]
    problems += [
        f"{PREFIX}{name} has to be '{value}' for this double"
        for name, value in FIXED.items()
        if given.get(name) != value
    ]
    if problems:
        sys.exit("\n".join(problems))
    return Settings(**{name.lower(): given[name] for name in names})
