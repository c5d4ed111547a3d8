"""Schemas of fields, more exact than the type of the serializer field."""

from typing import Any

from rest_framework import serializers

from executions import validators
from executions.secrets.scrubber import MASK
from ledgerkit.rest.fields import ObjectField, UUID7Field

type Schema = dict[str, Any]

# The first 48 bits are a time, which ends with the year 9999; the pattern ends forty days before.
UNTIL_9999 = "([0-9a-d][0-9a-f]{7}|e[0-5][0-9a-f]{6}|e6[0-6][0-9a-f]{5}|e67[0-6][0-9a-f]{4})"
UUID7_PATTERN = f"^{UNTIL_9999}-[0-9a-f]{{4}}-7[0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}$"
UUID7: Schema = {"type": "string", "format": "uuid", "pattern": UUID7_PATTERN}
MOMENT: Schema = {"type": "string", "format": "date-time", "pattern": "^(19[7-9][0-9]|[2-9][0-9]{3})-"}
OBJECT: Schema = {"type": "object", "additionalProperties": {}}
MASKED: Schema = {"type": "string", "pattern": MASK.replace("*", r"\*")}

# Approximates ledgerkit.db.names: no control or bidirectional characters, at least one visible character.
REFUSED = r"\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
UNSEEN = (
    r"\s\u00ad\u034f\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u200b-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
)
NAME = f"[^{REFUSED}]*[^{REFUSED}{UNSEEN}][^{REFUSED}]*"
NAMES = {"name", "label", "source", "worker"}

KINDS: dict[str, Schema] = {
    validators.OBJECT[0]: OBJECT,
    validators.STRING[0]: {"type": "string"},
    validators.STRINGS[0]: {"type": "array", "items": {"type": "string", "maxLength": 255, "pattern": f"^({NAME})?$"}},
    validators.BOOLEAN[0]: {"type": "boolean"},
    validators.INTEGER[0]: {"type": "integer"},
    validators.NUMBER[0]: {"type": "number"},
    validators.NAME[0]: {"type": ["string", "integer"]},
    validators.ID[0]: {"type": "string", "format": "uuid"},
    validators.TRACE[0]: {"type": "string", "pattern": f"^{validators.TRACEPARENT.pattern}$"},
}
RETRIES = {"max_retries": {"type": "integer", "minimum": 0, "default": 3}, "delay": {}}

# Descriptions of fields, for every row that has them.
MEANINGS = {
    "attempt": "Number of the attempt, from 1.",
    "execution_order": "Topological level; nodes that may run in parallel share one.",
    "version": "Raised by every change; the ETag of the row.",
    "number": "Consecutive number, from 1.",
    "retry_count": "Number of retries.",
    "failed_nodes": "Number of node executions that failed, counted when the run ends; 0 until then.",
    "timeout_seconds": "The longest duration of the node, in seconds.",
    "metadata": "Known keys have a type; others are kept as they are.",
    "context": "Known keys have a type; others are kept as they are. Values under `secrets` are never shown.",
    "error_is_cut": "The list shows only the first 2 KiB of the error; the row has all of it.",
    "is_cut": "The message was longer than a line may be and was cut; a mark at its end says so.",
    "message": "Text beyond 64 KiB is cut off, with a mark.",
}
# A character that str.strip() leaves: \s of ECMA-262 lacks these separators and U+0085.
NOT_BLANK = r"[^\s\x1c-\x1f\x85]"


def complete_schema(field: Any, schema: Schema, direction: str) -> Schema:
    """Return the schema of a field as the API validates it, more exact than drf-spectacular derives it."""
    schema.pop("title", None)  # the admin's label
    if direction == "response":
        schema.pop("readOnly", None)  # requests have a separate schema
        schema.pop("default", None)
    if field.field_name in MEANINGS:
        schema["description"] = MEANINGS[field.field_name]
    if isinstance(field, serializers.JSONField):
        return _document(field, schema, direction)
    return schema | _limits(field) if direction == "request" else schema


def document(field: Any) -> str:
    """Return the name of the separate schema of a document with known keys."""
    name = str(field.field_name)
    return name.capitalize() if isinstance(field, serializers.JSONField) and name in validators.KNOWN else ""


def _document(field: Any, schema: Schema, direction: str) -> Schema:
    kept = {key: value for key, value in schema.items() if key in {"description", "readOnly"}}
    if document(field):
        return kept | OBJECT | {"properties": _known_schema(validators.KNOWN[str(field.field_name)])}
    if not isinstance(field, ObjectField):
        return kept  # any JSON, null included
    if field.field_name != "retry_config":
        return kept | OBJECT
    return kept | OBJECT | {"properties": RETRIES} | ({"additionalProperties": False} if direction == "request" else {})


def _known_schema(kinds: Any, within: str = "") -> dict[str, Schema]:
    """Return the schemas of the known keys of a document; each may be null or masked."""
    here = {path.removeprefix(within): kind for path, kind in kinds.items() if path.startswith(within)}
    return {key: _known_as(kinds, f"{within}{key}", expected) for key, (expected, _) in here.items() if "." not in key}


def _known_as(kinds: object, path: str, expected: str) -> Schema:
    inner = _known_schema(kinds, f"{path}.")
    kind = KINDS[expected] | ({"properties": inner} if inner else {})
    is_text = "string" in kind["type"] and "format" not in kind
    return {"anyOf": [kind, {"type": "null"}, *([] if is_text else [MASKED])]}


def _limits(field: object) -> Schema:
    match field:
        case UUID7Field():
            return UUID7
        case serializers.DateTimeField():
            return {"pattern": MOMENT["pattern"]}
        case serializers.CharField() if field.field_name in NAMES:
            return {"pattern": f"^({NAME})?$" if field.allow_blank else f"^{NAME}$"}
        case serializers.CharField() if field.trim_whitespace and not field.allow_blank:
            return {"pattern": NOT_BLANK}
        case _:
            return {}
