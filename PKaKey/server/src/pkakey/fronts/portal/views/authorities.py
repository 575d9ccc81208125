"""Authorities as a tree, one authority, and the profiles."""

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pkakey.fronts.portal import words
from pkakey.fronts.portal.views.access import PortalRequest, clock, screen
from pkakey.selectors import authorities
from pkakey.selectors import profiles as selected_profiles
from pkakey.services.errors import NotFound


@screen("authorities:read")
@require_safe
def tree(request: PortalRequest) -> HttpResponse:
    """Show the tree."""
    content = {"here": "authorities", "now": clock(), "tree": authorities.tree(request.principal)}
    return render(request, "portal/authorities.html", content)


@screen("authorities:read")
@require_safe
def detail(request: PortalRequest, authority_id: UUID) -> HttpResponse:
    """Show one authority."""
    content = {
        "here": "authorities",
        "now": clock(),
        "item": authorities.get_authority(request.principal, authority_id),
        "addresses": request.services.outside,
    }
    return render(request, "portal/authority.html", content)


@screen("authorities:read")
@require_safe
def pem(request: PortalRequest, authority_id: UUID) -> HttpResponse:
    """Hand out the authority's certificate."""
    item = authorities.get_authority(request.principal, authority_id)
    response = HttpResponse(item.pem, content_type="application/x-pem-file")
    response.headers["Content-Disposition"] = f'attachment; filename="{item.serial_number}.pem"'
    return response


@screen("profiles:read")
@require_safe
def profiles(request: PortalRequest) -> HttpResponse:
    """Show the profiles."""
    content = {"here": "profiles", "profiles": selected_profiles.list_profiles(request.principal)}
    return render(request, "portal/profiles.html", content)


@screen("profiles:read")
@require_safe
def profile(request: PortalRequest, name: str) -> HttpResponse:
    """Show one profile's content in words."""
    found = [
        item for item in selected_profiles.list_profiles(request.principal) if item.name == name
    ]
    if not found:
        raise NotFound("profile")
    item = found[0]
    lines = [
        (label, words.in_words(item.data[field]))
        for field, label in words.PROFILE_FIELDS.items()
        if field in item.data
    ]
    content = {
        "here": "profiles",
        "item": item,
        "lines": lines,
        "is_offered": item.data.get("kind") == "end-entity",
    }
    return render(request, "portal/profile.html", content)
