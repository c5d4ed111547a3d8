"""Input schemas: what of JSON Schema is checked, and where a fault is."""

import json
from typing import Any

import pytest

from workflows.input_schemas import find_faults

FITS: list[tuple[Any, Any]] = [
    ({}, 1),
    (True, 1),
    ({"type": "integer"}, 3.0),
    ({"type": ["string", "null"]}, None),
    ({"enum": ["a", 1]}, 1),
    ({"minimum": 1, "maximum": 3}, 3),
    ({"minLength": 2}, 1),
    ({"items": {"type": "string"}}, ["a"]),
    ({"prefixItems": [{"type": "string"}], "items": {"type": "null"}}, ["a", None]),
    ({"additionalProperties": {"type": "string"}}, {"a": "b"}),
    ({"patternProperties": {"^x": {}}, "additionalProperties": False}, {"x": 1}),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None),
    ({"oneOf": [{"type": "string"}, {"type": "null"}]}, "a"),
    ({"not": {"type": "string"}}, 1),
    ({"$ref": "http://127.0.0.1:9/never-asked", "pattern": "(a+)+$", "uniqueItems": True}, "a" * 50),
    ({"type": "nonsense", "required": [[]], "properties": 1, "enum": 5, "minimum": "x", "allOf": 3}, {"a": 1}),
]  # fmt: skip
FAULTS: list[tuple[Any, Any, str, str]] = [
    (False, 1, "", "forbids"),
    ({"type": "integer"}, True, "", "type integer"),
    ({"type": "number"}, "1", "", "type number"),
    ({"enum": ["a", 1]}, True, "", "one of 'a', 1"),
    ({"const": 2}, 3, "", "one of 2"),
    ({"maximum": 3}, 4, "", "maximum is 3"),
    ({"exclusiveMinimum": 3}, 3, "", "exclusiveMinimum is 3"),
    ({"maxLength": 1}, "ab", "", "maxLength is 1"),
    ({"minItems": 1}, [], "", "minItems is 1"),
    ({"minProperties": 1}, {}, "", "minProperties is 1"),
    ({"properties": {"a": {"items": {"type": "null"}}}}, {"a": [None, 1]}, ".a[1]", "type null"),
    ({"required": ["a"]}, {}, ".a", "is required"),
    ({"properties": {}, "additionalProperties": False}, {"a": 1}, ".a", "not in the schema"),
    ({"allOf": [{"type": "string"}]}, 1, "", "none of the forms"),
    ({"anyOf": [{"type": "string"}, False]}, 1, "", "none of the forms"),
    ({"oneOf": [{}, {"type": "string"}]}, "a", "", "more than one of the forms"),
    ({"not": {}}, 1, "", "forbids"),
]


@pytest.mark.parametrize(("schema", "value"), FITS, ids=lambda item: json.dumps(item)[:40])
def test_what_fits(schema: Any, value: Any) -> None:
    assert list(find_faults(schema, value)) == []


@pytest.mark.parametrize(("schema", "value", "place", "text"), FAULTS, ids=lambda item: json.dumps(item)[:40])
def test_what_does_not_fit_and_where(schema: Any, value: Any, place: str, text: str) -> None:
    [(where, fault)] = find_faults(schema, value)
    assert (where, text in str(fault)) == (place, True), fault
