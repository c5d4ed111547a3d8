"""Parameters of an operation: path, query and headers."""

from collections.abc import Iterator
from typing import Any

from rest_framework.permissions import SAFE_METHODS

from executions.live.server_sent_events import LAST_EVENT_ID
from executions.states import ExecutionStatus, LogLevel, TriggerType
from ledgerkit.rest.filters import (
    LAST,
    MAX_SECONDS,
    BooleanFilter,
    DateTimeFilter,
    IntegerFilter,
    MultiChoiceFilter,
    SecondsFilter,
    UUIDFilter,
    UUIDListFilter,
    forms_of_uuid,
)
from ledgerkit.rest.idempotency import HEADER, MAX_LENGTH, IdempotencyMixin
from ledgerkit.rest.pagination import KeysetPagination
from ledgerkit.rest.preconditions import PreconditionsMixin

from .field_schemas import MOMENT

type Schema = dict[str, Any]

UUID = {"type": "string", "format": "uuid"}
UUID_IN_LIST = {  # without a format, for which Swagger UI looks for a component that it lacks, and warns
    "type": "string", "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
}  # fmt: skip
PATH: dict[str, Schema] = {"uuid": UUID, "int": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}}

KINDS: dict[type, Schema] = {
    DateTimeFilter: MOMENT,
    SecondsFilter: {"type": "number", "minimum": 0, "maximum": MAX_SECONDS},
    BooleanFilter: {"type": "boolean"},
    IntegerFilter: {"type": "integer", "minimum": 1, "maximum": LAST},
}

# Enumerations that rows use too, by their name in the settings.
ENUMS: dict[frozenset[str], Schema] = {
    frozenset(choices.values): {"$ref": f"#/components/schemas/{choices.__name__}"}
    for choices in (ExecutionStatus, TriggerType, LogLevel)
}


def in_path(names: list[str], view: Any) -> Iterator[Schema]:
    """Yield the path parameters: `{id}` and `{number}` by the view's lookup; all others are UUIDs."""
    for name in names:
        converter = getattr(view, "lookup_value_converter", "uuid") if name in {"id", view.lookup_field} else "uuid"
        yield {"in": "path", "name": name, "required": True, "schema": PATH[converter]}


def in_query(view: Any, fields: list[str]) -> Iterator[Schema]:
    if getattr(view, "is_stream", False):
        yield from (_query(name, *described) for name, described in view.parameters.items())
        return
    if view.action == "list":
        for name, offered in getattr(getattr(view, "filterset_class", None), "base_filters", {}).items():
            yield _query(name, offered.field.help_text, _value(offered), required=offered.field.required)
        yield from _paging(view)
    if view.action not in {"list", "retrieve"} or not hasattr(view, "expandable"):
        return
    yield _query("fields", "Return only these fields of each row.", _array_of({"type": "string", "enum": fields}))
    if view.action == "retrieve" and view.expandable:
        names = {"type": "string", "enum": list(view.expandable)}
        yield _query("expand", "Include these related rows in the response.", _array_of(names))


def in_headers(view: Any, method: str, *, versioned: bool) -> Iterator[Schema]:
    if method == "POST" and isinstance(view, IdempotencyMixin):
        key = {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH, "pattern": "^[!-~]([ -~]*[!-~])?$"}
        text = "The same key with the same request returns the first response for 24 hours, and does the work once."
        yield _header(HEADER, text, key)
    if versioned and method in SAFE_METHODS:
        yield _header("If-None-Match", "An ETag: 304 if the row has not changed.")
    if getattr(view, "is_stream", False):
        yield _header(LAST_EVENT_ID, "The `id` of the last event: the stream continues after it.")
    if method in SAFE_METHODS:
        return
    if getattr(view, "is_of_run", False):
        yield _header("If-Match", "The ETag of the execution to which this is added: 412 if it is newer.")
    elif issubclass(type(view), PreconditionsMixin) and view.detail:
        yield _header("If-Match", "The ETag of the row to change: 412 if the row is newer.")


def _paging(view: object) -> Iterator[Schema]:
    if orderings := getattr(view, "orderings", {}):
        names = [sign + name for name in orderings for sign in ("", "-")]
        yield _query("ordering", "The order of the rows; `-` reverses it.", {"type": "string", "enum": names})
    size = {"type": "integer", "minimum": 1, "maximum": KeysetPagination.max_page_size}
    yield _query("page_size", "Rows in one response.", size | {"default": KeysetPagination.page_size})
    yield _query("cursor", "Cursor of the page, as in the links `next` and `previous`.", _text())


def _value(offered: Any) -> Schema:
    """Return the schema of a filter's value."""
    field = offered.field
    for kind, schema in KINDS.items():
        if isinstance(offered, kind):
            return schema
    if choices := [value for value, _label in getattr(field, "choices", ()) if value]:
        enum = ENUMS.get(frozenset(choices)) or {"type": "string", "enum": choices}
        return _array_of(enum) if isinstance(offered, MultiChoiceFilter) else enum
    if isinstance(offered, UUIDListFilter):
        return _array_of(UUID_IN_LIST) | {"maxItems": offered.most}
    if isinstance(offered, UUIDFilter) or getattr(offered, "as_held", None) is forms_of_uuid:
        return UUID
    return _text(field.min_length or 1, field.max_length)


def _text(least: int = 1, most: int | None = None) -> Schema:
    return {"type": "string", "minLength": least} | ({"maxLength": most} if most else {})


def _array_of(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


def _query(name: str, description: str, schema: Schema, *, required: bool = False) -> Schema:
    parameter: Schema = {"in": "query", "name": name, "description": description, "schema": schema}
    return parameter | ({"required": True} if required else {})


def _header(name: str, description: str, schema: Schema | None = None) -> Schema:
    return {"in": "header", "name": name, "description": description, "schema": schema or {"type": "string"}}
