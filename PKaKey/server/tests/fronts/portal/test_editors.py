"""The fence around Wagtail's admin: each of its routes, asked for by each role."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLResolver, get_resolver

from PKaKey.server.tests.fronts.portal.test_access import ROLES


def routes(patterns: Any, prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern).lstrip("^").rstrip("$").replace("\\Z", "")
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            yield route


def filled(route: str) -> str:
    import re

    route = re.sub(r"<int:[^>]+>", "3", route)
    route = re.sub(r"<uuid:[^>]+>", "6f1d9c5e-0000-4000-8000-000000000000", route)
    route = re.sub(r"\(\?P<[^>]+>\[[^\]]*\]\+\)|\(\\d\+\)|\(\.\+\)|\(\[\^/\]\+\)", "1", route)
    route = re.sub(r"\(\?P<[^>]+>[^)]*\)", "1", route)
    return "/" + re.sub(r"<(?:str:|slug:)?[^>]+>", "page", route)


@pytest.fixture(scope="module")
def paths(platform: Any) -> list[str]:
    found = sorted({filled(r) for r in routes(get_resolver().url_patterns) if r.startswith("cms/")})
    assert len(found) > 100
    return [path for path in found if ".*" not in path]


OPEN_TO_EDITORS = (
    "/cms/",
    "/cms/pages/3/",
    "/cms/pages/3/edit/",
    "/cms/pages/3/history/",
    "/cms/pages/search/",
    "/cms/choose-page/",
    "/cms/sprite/",
    "/cms/jsi18n/",
)
CLOSED_TO_EDITORS = (
    "/cms/account/",
    "/cms/users/",
    "/cms/groups/",
    "/cms/sites/",
    "/cms/images/",
    "/cms/documents/",
    "/cms/snippets/",
    "/cms/reports/locked/",
    "/cms/reports/site-history/",
    "/cms/workflows/list/",
    "/cms/collections/",
    "/cms/bulk/wagtailcore/page/delete/",
    "/cms/tag-autocomplete/",
    "/cms/password_reset/",
    "/cms/failwhale/",
)


def test_a_stranger_gets_the_sign_in_on_every_route(anonymous: Client, paths: list[str]) -> None:
    for path in paths:
        response = anonymous.get(path)
        place = response.headers.get("Location", "")
        assert response.status_code == 404 or place.startswith(
            ("/accounts/login/", "/portal/account/")
        ), path


@pytest.mark.parametrize("role", [role for role in ROLES if role != "content-editor"])
def test_other_roles_get_our_own_page_on_every_route(
    client_of: Callable[..., Client], paths: list[str], role: str
) -> None:
    client = client_of(role)
    for path in paths:
        response = client.get(path)
        if response.status_code == 302:
            assert response.headers["Location"].startswith(("/accounts/login/", "/portal/account/"))
        else:
            assert response.status_code in {403, 404}, path
    assert "not a content editor" in client.get("/cms/").text


def test_editors_reach_no_route_that_is_not_listed(
    client_of: Callable[..., Client], paths: list[str]
) -> None:
    from pkakey.fronts.portal.editors import OPEN_NAMES, OPEN_NAMESPACES

    client = client_of("content-editor")
    for path in paths:
        response: Any = client.get(path)
        match = getattr(response, "resolver_match", None)
        if response.status_code == 404 or match is None:
            continue
        if match.namespaces:
            assert match.namespaces[0] in OPEN_NAMESPACES, path
        elif match.url_name is not None:
            assert match.url_name in OPEN_NAMES, path


@pytest.mark.parametrize("path", OPEN_TO_EDITORS)
def test_editors_reach_what_editing_needs(client_of: Callable[..., Client], path: str) -> None:
    assert client_of("content-editor").get(path).status_code == 200


@pytest.mark.parametrize("path", CLOSED_TO_EDITORS)
def test_editors_do_not_reach_the_rest(client_of: Callable[..., Client], path: str) -> None:
    response = client_of("content-editor").get(path)
    assert response.status_code == 404 or response.headers["Location"] == "/portal/account/"


@pytest.mark.parametrize("path", ["/cms/login/", "/_util/login/"])
@pytest.mark.parametrize("after", ["https://evil.test/", "//evil.test/", "javascript:alert(1)"])
def test_wagtails_own_sign_in_leads_to_ours_and_nowhere_else(
    anonymous: Client, path: str, after: str
) -> None:
    for response in (anonymous.get(path, {"next": after}), anonymous.post(f"{path}?next={after}")):
        assert response.headers["Location"] == "/accounts/login/?next=%2Fcms%2F"


def test_an_editor_changes_the_help_page(client_of: Callable[..., Client]) -> None:
    from pkakey.fronts.portal.models import HelpPage

    editor = client_of("content-editor")
    page = HelpPage.objects.get(slug="help")
    before = page.body
    body = (
        '{"blocks": [{"key": "a", "text": "Changed words", "type": "unstyled", "depth": 0, '
        '"inlineStyleRanges": [], "entityRanges": []}], "entityMap": {}}'
    )
    form = {
        "title": "Help",
        "slug": "help",
        "body": body,
        "seo_title": "",
        "search_description": "",
        "action-publish": "1",
        "comments-TOTAL_FORMS": "0",
        "comments-INITIAL_FORMS": "0",
    }
    try:
        assert editor.post(f"/cms/pages/{page.pk}/edit/", form).status_code == 302
        assert "Changed words" in editor.get("/help/").text
    finally:
        page = HelpPage.objects.get(slug="help")
        page.body = before
        page.save()


def test_wagtails_own_groups_and_welcome_page_are_gone(platform: Any) -> None:
    from django.contrib.auth.models import Group
    from wagtail.models import Page, Site

    assert set(Group.objects.values_list("name", flat=True)) == set(ROLES)
    assert Page.objects.filter(title__contains="Welcome to your new").count() == 0
    assert Site.objects.get().root_page.slug == "home"
    assert Page.find_problems() == ([], [], [], [], [])
