"""Forms as JSON Schema: which schemas a diagram may bring, and values checked against them.

A small part of JSON Schema 2020-12: what a form needs, and nothing that could be slow (`pattern`),
reach out (`$ref`), or hide what is asked.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from jsonschema import Draft202012Validator, SchemaError

from koolflows.engine.errors import FlowError, ValuesRefused

MAX_FIELDS: Final = 50
MAX_DEPTH: Final = 12
MAX_DATA_BYTES: Final = 64 * 1024
KEYWORDS: Final = frozenset(
    {
        "type", "title", "description", "properties", "required", "additionalProperties", "enum",
        "const", "default", "minLength", "maxLength", "minimum", "maximum", "items", "minItems",
        "maxItems", "format",
    }
)  # fmt: skip
FORMATS: Final = frozenset({"date", "date-time", "email", "uri", "uuid", "multi-line"})
# SpiffWorkflow restores an object by this name; outside data must never bring it.
RESERVED: Final = "typename"


def check_schema(text: str) -> dict[str, Any]:
    """Return the form's schema; raises `FlowError` for one that no form here can have."""
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FlowError("form.malformed", f"The form is no JSON: {error}") from None
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise FlowError("form.malformed", "A form is a JSON Schema of the type object.")
    _check_keywords(schema, 0)
    if schema.get("additionalProperties") is not False:
        raise FlowError("form.open", "A form says `additionalProperties: false`.")
    if not 1 <= len(schema.get("properties", {})) <= MAX_FIELDS:
        raise FlowError("form.malformed", f"A form has 1 to {MAX_FIELDS} fields.")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise FlowError("form.malformed", f"The form is no JSON Schema: {error.message}") from None
    return schema


def _check_keywords(schema: Any, depth: int) -> None:  # noqa: ANN401  # Any JSON value.
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        raise FlowError("form.malformed", "A field of a form is a JSON object, not too deep.")
    for name, value in schema.items():
        if name not in KEYWORDS:
            known = ", ".join(sorted(KEYWORDS))
            raise FlowError("form.keyword", f"'{name}' cannot stand in a form. Known: {known}.")
        if name == "format" and value not in FORMATS:
            raise FlowError("form.keyword", f"'{value}' is no format of a form's field.")
        if name == "properties":
            for field, inner in dict(value).items():
                if field == RESERVED or not str(field).isidentifier():
                    raise FlowError("form.field", f"A field cannot be called '{field}'.")
                _check_keywords(inner, depth + 1)
        if name == "items":
            _check_keywords(value, depth + 1)


def check_values(schema: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that fit the form; raises `ValuesRefused` with every field's complaint."""
    clean = check_data(values)
    errors: dict[str, str] = {}
    validator = Draft202012Validator(
        dict(schema), format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    for error in validator.iter_errors(clean):
        path = ".".join(str(part) for part in error.absolute_path) or "(the whole)"
        errors.setdefault(path, error.message[:300])
    if errors:
        raise ValuesRefused(
            "form.values",
            "Some values do not fit the form: " + ", ".join(sorted(errors)) + ".",
            errors,
        )
    return clean


def check_data(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return outside data that a process may keep; raises `ValuesRefused`."""
    try:
        text = json.dumps(values, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except (ValueError, TypeError, RecursionError, UnicodeEncodeError) as error:
        raise ValuesRefused("data.not-json", f"The data is not plain JSON: {error}") from None
    if size > MAX_DATA_BYTES:
        raise ValuesRefused(
            "data.too-large", f"The data has {size} octets; at most {MAX_DATA_BYTES} are kept."
        )
    _refuse_reserved(values, 0)
    found: dict[str, Any] = json.loads(text)
    return found


def _refuse_reserved(value: Any, depth: int) -> None:  # noqa: ANN401  # Any JSON value.
    if depth > MAX_DEPTH:
        raise ValuesRefused("data.too-deep", f"The data has more than {MAX_DEPTH} levels.")
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name == RESERVED or not isinstance(name, str) or "\x00" in name:
                raise ValuesRefused("data.reserved-name", f"Data cannot have a name '{RESERVED}'.")
            _refuse_reserved(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _refuse_reserved(inner, depth + 1)
    elif isinstance(value, str) and "\x00" in value:
        raise ValuesRefused("data.not-json", "A text of the data holds a NUL character.")
