"""What this front asks of Django's settings: one dictionary that `config` imports."""

from typing import Any, Final

SPECTACULAR_SETTINGS: Final[dict[str, Any]] = {
    "TITLE": "theDDT KoolFlows",
    "DESCRIPTION": (
        "Deploy diagrams, start processes, decide tasks. Errors are RFC 9457 problem documents "
        "with a stable `code`."
    ),
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "LICENSE": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "PREPROCESSING_HOOKS": ["koolflows.fronts.rest.openapi.only_endpoints"],
    "POSTPROCESSING_HOOKS": ["koolflows.fronts.rest.openapi.complete"],
}
