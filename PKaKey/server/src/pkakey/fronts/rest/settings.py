"""What this front asks of Django's settings: two dictionaries that `config.settings` imports."""

from typing import Any, Final

# Our endpoints set everything themselves (`endpoint.Endpoint`). These defaults are for views that
# other applications bring along: closed unless they say otherwise.
REST_FRAMEWORK: Final[dict[str, Any]] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}

SPECTACULAR_SETTINGS: Final[dict[str, Any]] = {
    "TITLE": "theDDT PKaKey",
    "DESCRIPTION": (
        "Issue, find, download and revoke certificates. Errors are RFC 9457 problem documents "
        "with a stable `code`; `POST certificates/` takes an `Idempotency-Key`."
    ),
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "LICENSE": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    # The CMS has addresses of its own that are not part of this API.
    "PREPROCESSING_HOOKS": ["pkakey.fronts.rest.openapi.only_this_api"],
    "POSTPROCESSING_HOOKS": ["pkakey.fronts.rest.openapi.complete_document"],
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
