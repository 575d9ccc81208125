"""The OpenAPI 3.1 document, made once and completed with what every address shares."""

import json
from functools import cache
from hashlib import sha256
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from rest_framework.request import Request

from koolflows.fronts.rest.endpoint import Endpoint
from koolflows.fronts.rest.problems import MEDIA_TYPE, path_not_found

_ANSWERS: Final = {
    "400": "The request cannot be read.",
    "401": "No good token came.",
    "403": "The token does not permit this.",
    "404": "There is no such thing in the namespace.",
    "409": "The request contradicts what is there.",
    "413": "The body is too large.",
    "415": "The media type is not known.",
    "422": "The request was understood and refused.",
    "503": "A part does not answer at the moment.",
}


def only_endpoints(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Keep the addresses that have permissions."""
    return [one for one in endpoints if getattr(one[3].cls, "permissions", None)]


def complete(
    result: dict[str, Any],
    generator: object,  # noqa: ARG001  # A hook's signature.
    request: object,  # noqa: ARG001  # As above.
    public: bool,  # noqa: ARG001, FBT001  # As above.
) -> dict[str, Any]:
    """Add the problem answers and the bearer token to every operation."""
    components = result.setdefault("components", {})
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    result["security"] = [{"bearer": []}]
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = {
        "type": "object",
        "description": "A problem document (RFC 9457).",
        "properties": {
            **{name: {"type": "string"} for name in ("type", "title", "detail", "code")},
            **{name: {"type": "string"} for name in ("instance", "reference")},
            "status": {"type": "integer"},
            "errors": {"type": "array", "items": {"type": "object"}},
        },
        "required": ["type", "title", "status", "detail", "code", "instance", "reference"],
    }
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for item in result["paths"].values():
        for operation in item.values():
            operation["security"] = [{"bearer": []}]
            for status, words in _ANSWERS.items():
                answer = {"description": words, "content": content}
                operation["responses"].setdefault(status, answer)
    return result


@cache
def _document() -> tuple[bytes, str]:
    document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    body = json.dumps(document, ensure_ascii=False).encode()
    return body, f'"{sha256(body).hexdigest()[:32]}"'


@require_safe
def openapi_document(request: HttpRequest) -> HttpResponse:
    """Return the OpenAPI document, to anyone."""
    body, tag = _document()
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == tag:
        return HttpResponseNotModified(headers=headers)
    return HttpResponse(body, content_type="application/json", headers=headers)


class UnknownPathEndpoint(Endpoint):
    """Answers every address under the API that nothing else answers."""

    authentication_classes = ()
    permission_classes = ()

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:  # noqa: ARG002
        """Refuse, whatever the method."""
        raise path_not_found()
