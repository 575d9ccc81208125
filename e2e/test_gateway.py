"""The gateway as a client meets it: HTTPS by our own chain, plain HTTP only where it must be."""

import pytest

from e2e.native_platform import Platform

pytestmark = pytest.mark.platform


def headers(platform: Platform, url: str, *options: str) -> tuple[int, dict[str, str]]:
    text = platform.curl(url, "-D", "-", "-o", "/dev/null", *options).stdout
    first, *rest = text.strip().splitlines()
    pairs = (line.split(":", 1) for line in rest if ":" in line)
    return int(first.split()[1]), {name.strip().lower(): value.strip() for name, value in pairs}


def test_the_portal_is_served_by_our_own_chain_with_the_usual_headers(platform: Platform) -> None:
    status, seen = headers(platform, f"{platform.portal}/")
    assert status == 200
    assert "max-age=" in seen["strict-transport-security"]
    assert seen["x-content-type-options"] == "nosniff"
    assert "script-src 'self'" in seen["content-security-policy"]
    assert "unsafe-inline" not in seen["content-security-policy"]
    assert "referrer-policy" in seen


@pytest.mark.parametrize("path", ["/", "/portal/", "/api/v1/certificates/", "/accounts/login/"])
def test_plain_http_redirects_everything_else(platform: Platform, path: str) -> None:
    status, seen = headers(platform, f"http://pkakey.{platform.domain}:{platform.http_port}{path}")
    assert status in {301, 308}
    assert seen["location"] == f"{platform.portal}{path}"


def test_the_dashboard_is_closed_to_strangers(platform: Platform) -> None:
    for path in ("/dashboard/", "/api/rawdata", "/"):
        status, _ = headers(platform, f"https://{platform.domain}:{platform.https_port}{path}")
        assert status in {302, 401, 403}, path


@pytest.mark.parametrize(
    "name",
    ["X-Forwarded-User", "X_Forwarded_User", "Remote-User", "REMOTE_USER", "X-Auth-Request-User"],
)
def test_a_forged_identity_header_opens_nothing(platform: Platform, name: str) -> None:
    status, _ = headers(platform, f"{platform.portal}/portal/", "-H", f"{name}: admin")
    assert status in {302, 401, 403}
    address = f"https://{platform.domain}:{platform.https_port}/dashboard/"
    status, _ = headers(platform, address, "-H", f"{name}: admin")
    assert status in {302, 401, 403}
