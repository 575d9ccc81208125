"""A task's form from its JSON Schema, and the values that are sent."""

from typing import Any

import pytest
from pkakey.fronts.portal.forms_of_tasks import fields_of, values_of

FORM = {
    "type": "object",
    "required": ["outcome", "reason"],
    "properties": {
        "days": {"type": "integer", "title": "Days"},
        "reason": {"type": "string", "format": "multi-line", "maxLength": 1000},
        "share": {"type": "number"},
        "sure": {"type": "boolean", "default": True},
        "until": {"type": "string", "format": "date"},
        "outcome": {"type": "string", "title": "Decision", "enum": ["approve", "refuse"]},
    },
}


def test_the_fields_that_are_required_come_first_in_their_authors_order() -> None:
    fields = fields_of(FORM)
    assert [field.name for field in fields][:2] == ["outcome", "reason"]
    kinds = {field.name: field.kind for field in fields}
    assert kinds == {
        "outcome": "choice", "reason": "lines", "days": "integer", "share": "number",
        "sure": "flag", "until": "date",
    }  # fmt: skip
    assert fields[0].choices == (("approve", "Approve"), ("refuse", "Refuse"))


def test_what_was_typed_is_sent_in_the_schemas_types() -> None:
    typed = {"field-outcome": "approve", "field-reason": "ok", "field-days": "7",
             "field-share": "0.5", "field-sure": "on"}  # fmt: skip
    assert values_of(fields_of(FORM, typed)) == {
        "outcome": "approve", "reason": "ok", "days": 7, "share": 0.5, "sure": True,
    }  # fmt: skip


def test_what_is_missing_or_no_number_is_left_to_koolflows_to_refuse() -> None:
    sent = values_of(fields_of(FORM, {"field-days": "seven", "field-outcome": "perhaps"}))
    assert sent == {"outcome": "perhaps", "reason": "", "days": "seven", "sure": False}


@pytest.mark.parametrize(
    "schema", [None, 7, [], {}, {"properties": 7}, {"properties": {"a": 7}}], ids=str
)
def test_what_is_no_form_has_no_fields(schema: Any) -> None:
    assert fields_of(schema) == []


def test_a_text_without_end_is_cut_off() -> None:
    (field,) = fields_of({"properties": {"a": {"type": "string"}}}, {"field-a": "x" * 100_000})
    assert len(field.value) == 10_000
