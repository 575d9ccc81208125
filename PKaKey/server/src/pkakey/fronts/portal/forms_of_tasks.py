"""A task's form, from its JSON Schema: one field for each property, as plain HTML shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_MOST_CHARACTERS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Field:
    """One field: how it is shown, and what was typed into it."""

    name: str
    label: str
    kind: str
    choices: tuple[tuple[str, str], ...]
    is_required: bool
    most: int
    value: str
    hint: str

    @property
    def typed(self) -> object:
        """The value in the schema's type; a text that is no number stays one, to be refused."""
        if self.kind == "flag":
            return self.value == "on"
        if self.kind in {"integer", "number"}:
            try:
                return int(self.value) if self.kind == "integer" else float(self.value)
            except ValueError:
                return self.value
        return self.value


def fields_of(schema: object, typed: Mapping[str, str] | None = None) -> list[Field]:
    """Return the fields of a form, with what was typed; KoolFlows checks the values."""
    if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
        return []
    required = schema.get("required") or []
    # The store keeps no order of an object's members; the list of those required has the author's.
    order = {name: place for place, name in enumerate(required)}
    return [
        _field(str(name), facts, name in required, typed)
        for name, facts in sorted(
            schema["properties"].items(), key=lambda one: order.get(one[0], len(order))
        )
        if isinstance(facts, dict)
    ]


def _field(
    name: str,
    facts: Mapping[str, Any],
    is_required: bool,  # noqa: FBT001
    typed: Mapping[str, str] | None,
) -> Field:
    choices = facts.get("enum") or []
    kinds = {"boolean": "flag", "integer": "integer", "number": "number"}
    kind = kinds.get(str(facts.get("type")), "text")
    if choices:
        kind = "choice"
    elif facts.get("format") == "multi-line":
        kind = "lines"
    elif facts.get("format") == "date":
        kind = "date"
    value = typed.get(f"field-{name}", "") if typed is not None else str(facts.get("default", ""))
    return Field(
        name=name,
        label=str(facts.get("title") or name.replace("_", " ").capitalize()),
        kind=kind,
        choices=tuple((str(one), str(one).replace("_", " ").capitalize()) for one in choices),
        is_required=is_required,
        most=min(int(facts.get("maxLength", _MOST_CHARACTERS)), _MOST_CHARACTERS),
        value=value[:_MOST_CHARACTERS],
        hint=str(facts.get("description", "")),
    )


def values_of(fields: list[Field]) -> dict[str, object]:
    """Return the values to send: what is empty and not required is left out."""
    return {
        field.name: field.typed
        for field in fields
        if field.value or field.is_required or field.kind == "flag"
    }
