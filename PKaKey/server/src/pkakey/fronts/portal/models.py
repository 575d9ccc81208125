"""The public pages, edited in Wagtail; the authorities they show come from the store, live."""

from typing import Any, ClassVar

import structlog
from django.db import DatabaseError, models
from django.http import HttpRequest
from wagtail.admin.panels import FieldPanel
from wagtail.fields import RichTextField
from wagtail.models import Page

from pkakey.selectors.authorities import public_repository

TEXT_FEATURES = ["h2", "h3", "bold", "italic", "ol", "ul", "link", "code"]

log = structlog.get_logger()


class HomePage(Page):
    """The first page that a visitor sees."""

    lead = models.CharField(max_length=255, help_text="One sentence below the title.")
    body = RichTextField(features=TEXT_FEATURES, blank=True)

    template = "portal/home_page.html"
    content_panels: ClassVar = [*Page.content_panels, FieldPanel("lead"), FieldPanel("body")]
    parent_page_types: ClassVar = ["wagtailcore.Page"]
    subpage_types: ClassVar = ["portal.HelpPage", "portal.RepositoryPage"]
    max_count = 1


class HelpPage(Page):
    """A page of text: help, a guide, an announcement; pages may lie below it."""

    body = RichTextField(features=TEXT_FEATURES)

    template = "portal/help_page.html"
    content_panels: ClassVar = [*Page.content_panels, FieldPanel("body")]
    parent_page_types: ClassVar = ["portal.HomePage", "portal.HelpPage"]
    subpage_types: ClassVar = ["portal.HelpPage"]


class RepositoryPage(Page):
    """The CA repository (RFC 3647 section 4.2): authorities, their addresses, and the policy."""

    body = RichTextField(features=TEXT_FEATURES, blank=True)
    policy = RichTextField(
        features=TEXT_FEATURES,
        blank=True,
        help_text="The certificate policy and certification practice statement.",
    )

    template = "portal/repository_page.html"
    content_panels: ClassVar = [*Page.content_panels, FieldPanel("body"), FieldPanel("policy")]
    parent_page_types: ClassVar = ["portal.HomePage"]
    subpage_types: ClassVar = ["portal.HelpPage"]
    max_count = 1

    def get_context(self, request: HttpRequest, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401
        """Add the authorities, or None when they could not be read."""
        context: dict[str, Any] = super().get_context(request, *args, **kwargs)
        try:
            context["authorities"] = public_repository()
        except DatabaseError:
            log.exception("repository.failed")
            context["authorities"] = None
        context["addresses"] = request.services.outside  # type: ignore[attr-defined]  # By a middleware.
        return context
