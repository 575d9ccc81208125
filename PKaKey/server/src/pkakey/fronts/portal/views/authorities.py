"""Authorities as a tree, one authority, profiles, and the public repository."""

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pkakey.fronts.portal.views.access import PortalRequest, clock, screen
from pkakey.selectors import authorities
from pkakey.selectors import profiles as selected_profiles


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
    item = authorities.get_authority(request.principal, authority_id)
    return render(request, "portal/authority.html", {"here": "authorities", "item": item})


@screen("profiles:read")
@require_safe
def profiles(request: PortalRequest) -> HttpResponse:
    """Show the profiles with their content."""
    content = {"here": "profiles", "profiles": selected_profiles.list_profiles(request.principal)}
    return render(request, "portal/profiles.html", content)
