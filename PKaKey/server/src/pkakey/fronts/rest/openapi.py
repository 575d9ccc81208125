"""The OpenAPI 3.1 document: made once for each process, and what the generator cannot know."""

import json
from functools import cache
from hashlib import sha256
from typing import Any, Final

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema

from pkakey.fronts.rest.problems import MEDIA_TYPE

_TEXT: Final = {"type": "string"}
PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "properties": {
        "type": {**_TEXT, "description": "A URN that names the problem for good."},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": {**_TEXT, "description": "What came, what is allowed, what to do."},
        "code": {**_TEXT, "description": "The last part of `type`."},
        "instance": _TEXT,
        "reference": {**_TEXT, "description": "What an operator finds in the log."},
        "errors": {
            "type": "array",
            "description": "For `request.invalid`: every field that cannot be read.",
            "items": {
                "type": "object",
                "properties": {"name": _TEXT, "code": _TEXT, "detail": _TEXT},
                "required": ["name", "code", "detail"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "code", "instance", "reference"],
}

# What any operation may answer, by method; single operations add what is their own.
_ALWAYS: Final = {
    "400": "The request cannot be read.",
    "401": "No valid token or session came with the request.",
    "403": "The caller may not do this.",
    "404": "There is no such thing in the caller's namespace.",
    "429": "Too many requests came.",
    "500": "Something failed on our side; the problem has a reference.",
    "503": "A part of the platform does not answer; repeat the request later.",
}
_WITH_BODY: Final = {
    "409": "The request contradicts what there is.",
    "413": "The request's body is too large.",
    "415": "The request's body is not JSON.",
    "422": "The request was understood and is refused; `code` says why.",
}


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes API tokens."""

    target_class = "pkakey.fronts.rest.authentication.BearerAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:  # noqa: ARG002
        """Return the security scheme."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API token; `ddt token create` or the portal makes one.",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes the session of a person signed in to the portal."""

    target_class = "pkakey.fronts.rest.authentication.BrowserSessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:  # noqa: ARG002
        """Return the security scheme."""
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "The portal's session; changes also need its CSRF token.",
        }


def complete_document(
    result: dict[str, Any],
    generator: SchemaGenerator,  # noqa: ARG001  # The hook's fixed signature.
    request: object,  # noqa: ARG001  # As above.
    public: bool,  # noqa: ARG001, FBT001  # As above.
) -> dict[str, Any]:
    """Add the problems to each operation, and close the objects that clients send."""
    result["components"]["schemas"]["Problem"] = PROBLEM_SCHEMA
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for item in result["paths"].values():
        for method, operation in item.items():
            problems = {**_ALWAYS, **(_WITH_BODY if method == "post" else {})}
            for status, description in problems.items():
                answer = {"description": description, "content": content}
                operation["responses"].setdefault(status, answer)
            operation["responses"] = dict(sorted(operation["responses"].items()))
    schemas = result["components"]["schemas"]
    for name in _sent_schemas(result):
        # An unknown field is a mistake that would otherwise pass in silence.
        schemas[name]["additionalProperties"] = False
        for field in schemas[name]["properties"].values():
            if field.get("type") == "string" and "format" not in field and "enum" not in field:
                field["pattern"] = r"^[^\u0000]*$"
    return result


def _sent_schemas(document: dict[str, Any]) -> set[str]:
    return {
        content["schema"]["$ref"].rpartition("/")[2]
        for item in document["paths"].values()
        for operation in item.values()
        for content in operation.get("requestBody", {}).get("content", {}).values()
    }


@cache
def document_bytes() -> tuple[bytes, str]:
    """Return the OpenAPI document as JSON, and its entity tag.

    It is made at the first request: the generator walks every view, which takes a moment, and the
    result is the same until the process ends.
    """
    document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    body = json.dumps(document, ensure_ascii=False).encode()
    return body, f'"{sha256(body).hexdigest()[:32]}"'


def only_this_api(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Keep the addresses of this front, and none of what other applications route."""
    return [
        endpoint
        for endpoint in endpoints
        if getattr(endpoint[3], "cls", None) is not None
        and endpoint[3].cls.__module__.startswith("pkakey.fronts.rest.")
        and endpoint[3].cls.permissions
    ]
