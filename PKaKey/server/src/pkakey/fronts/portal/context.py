"""What every template may ask for."""

from typing import Any

from django.http import HttpRequest

THEMES = ("auto", "light", "dark")
THEME_COOKIE = "theme"


def portal(request: HttpRequest) -> dict[str, Any]:
    """Return the principal of a signed-in person on the portal's screens, and the theme."""
    principal = getattr(request, "principal", None)
    theme = request.COOKIES.get(THEME_COOKIE, "auto")
    permissions = (
        {name.replace(":", "_"): True for name in _PERMISSIONS if principal.can(name)}
        if principal
        else {}
    )
    return {
        "principal": principal,
        "may": permissions,
        "theme": theme if theme in THEMES else "auto",
    }


_PERMISSIONS = (
    "certificates:read",
    "certificates:issue",
    "certificates:revoke",
    "authorities:read",
    "authorities:manage",
    "profiles:read",
    "tokens:manage",
    "audit:read",
    "flows:read",
    "flows:decide",
    "dashboard:gateway",
)
