"""The API's description of itself: the OpenAPI document and pages to browse it."""

import json
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_safe
from rest_framework.request import Request

from pkakey.fronts.rest.endpoint import Endpoint
from pkakey.fronts.rest.openapi import document_bytes
from pkakey.fronts.rest.problems import Problem

_SWAGGER: Final = "drf_spectacular_sidecar/swagger-ui-dist"


@require_safe
def openapi_document(request: HttpRequest) -> HttpResponse:
    """Return the OpenAPI 3.1 document, to anyone."""
    body, tag = document_bytes()
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == tag:
        return HttpResponseNotModified(headers=headers)
    return HttpResponse(body, content_type="application/json", headers=headers)


@require_safe
def docs_page(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  # A view's signature.
    """Return the page of the browsable docs.

    Its scripts and styles are files of our own host, so that it lives under the strict content
    security policy of every other page: no inline script, no inline style.
    """
    return HttpResponse(
        format_html(
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            "<title>theDDT REST API</title>"
            '<link rel="icon" href="{}"><link rel="stylesheet" href="{}"></head>'
            '<body><main id="swagger-ui"><noscript>These pages need JavaScript. The same '
            'description as data: <a href="{}">openapi.json</a>.</noscript></main>'
            '<script src="{}"></script><script src="{}"></script></body></html>',
            static(f"{_SWAGGER}/favicon-32x32.png"),
            static(f"{_SWAGGER}/swagger-ui.css"),
            reverse("rest:openapi"),
            static(f"{_SWAGGER}/swagger-ui-bundle.js"),
            reverse("rest:docs-script"),
        )
    )


@require_safe
def docs_script(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  # A view's signature.
    """Return the script that starts the browsable docs."""
    options = {
        "url": reverse("rest:openapi"),
        "dom_id": "#swagger-ui",
        "deepLinking": True,
        # A token that a person typed must not outlive the page.
        "persistAuthorization": False,
        # Without this, the page asks a third host whether the document is valid.
        "validatorUrl": None,
        "docExpansion": "list",
    }
    script = f'"use strict";\nSwaggerUIBundle({json.dumps(options)});\n'
    return HttpResponse(
        script,
        content_type="text/javascript; charset=utf-8",
        headers={"Cache-Control": "no-cache"},
    )


class UnknownPathEndpoint(Endpoint):
    """Answers every address under the API that nothing else answers."""

    authentication_classes = ()
    permission_classes = ()

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:  # noqa: ARG002
        """Refuse, whatever the method."""
        raise Problem(
            "path.not-found",
            "There is nothing at this address. Addresses end with a slash, and `openapi.json` "
            "lists every one.",
        )
