"""Describe the operations of a view more exactly than drf-spectacular can derive them."""

from copy import deepcopy
from typing import Any

import uritemplate
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent, force_instance

from executions.api.serializers import (
    AttentionSerializer,
    ExecutionLogSerializer,
    NodeExecutionListSerializer,
    RunAheadSerializer,
)
from executions.live.server_sent_events import TYPE
from ledgerkit.rest.preconditions import ContentETagMixin, PreconditionsMixin

from . import events_body, examples, extensions, field_schemas, parameters, responses

type Schema = dict[str, Any]

EXPANDED = {
    "nodes": NodeExecutionListSerializer,
    "logs": ExecutionLogSerializer,
    "attention": AttentionSerializer,
    "ahead": RunAheadSerializer,
}
CUT = {"nodes": "Present with `?expand=nodes`; true if there are more, which `executions/{id}/nodes/` lists."}
JSON = "application/json"
SCHEMES = [extensions.BearerScheme, extensions.SessionScheme]  # importing them registers them


class LedgerAutoSchema(AutoSchema):  # type: ignore[misc]  # drf-spectacular is not followed
    view: Any

    def is_excluded(self) -> bool:
        return not hasattr(self.view, "basename")  # the catch-all view has no rows

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: ComponentRegistry
    ) -> Schema | None:
        """Return the operation. Its description ends with the required scope and permission. AutoSchema would guess
        requests and responses through private methods."""
        self.path, self.path_regex, self.path_prefix = path, path_regex, path_prefix
        self.method, self.registry = method.upper(), registry
        if self.is_excluded():
            return None
        operation: Schema = {
            "operationId": self.get_operation_id(),
            "description": f"{self.get_description()}\n\n{responses.who_may(self.view, self.method)}",
            "summary": self.get_summary(),
            "parameters": self._parameters(),
            "tags": self.get_tags(),
            "requestBody": self._request_body(),
            "security": self.get_auth(),
            "responses": self._responses(),
        }
        return {name: value for name, value in operation.items() if value}

    # --- requests -----------------------------------------------------------
    def _parameters(self) -> list[Schema]:
        fields = {} if self._is_stream else self._row().fields
        shown = [name for name, field in fields.items() if not field.write_only]
        return [
            *parameters.in_path(list(uritemplate.variables(self.path)), self.view),
            *(parameters.in_query(self.view, shown) if self.method == "GET" else []),
            *parameters.in_headers(self.view, self.method, versioned=self._is_versioned()),
        ]

    def _request_body(self) -> Schema | None:
        if kinds := getattr(self.view, "fact_kinds", None):
            return events_body.request_body(kinds, self.registry, examples.requests(self.get_operation_id()))
        if not responses.takes_body(self.view, self.method) or not (body := self._body_component()):
            return None
        one = body.ref
        content: Schema = {"schema": self._one_or_many(one)}
        if shown := examples.requests(self.get_operation_id()):
            content["examples"] = shown
        required = bool(body.schema.get("required"))
        return {"content": {JSON: content}} | ({"required": True} if required else {})

    def _body_component(self) -> Any:
        serializer = self.get_request_serializer()
        if not force_instance(serializer).fields:
            return None
        if self.method == "PATCH":
            serializer = type(force_instance(serializer))(partial=True)
        return self.resolve_serializer(serializer, "request")

    def _one_or_many(self, one: Schema) -> Schema:
        most = getattr(self.view, "max_rows", None)
        if most is None or self.method != "POST":
            return one
        return {"anyOf": [one, {"type": "array", "items": one, "maxItems": most}]}

    # --- responses ----------------------------------------------------------
    def _responses(self) -> Schema:
        statuses = responses.statuses(self.view, versioned=self._is_versioned())
        successes = {status: self._success(status) for status in statuses}
        return successes | responses.refusals(self.view, self.method, self.path)

    def _success(self, status: str) -> Schema:
        response = responses.describe_response(self.view, self.method, status, versioned=self._is_versioned())
        if status in {"204", "304"}:
            return response
        if self._is_stream:
            shown = examples.events(self.get_operation_id())
            return response | {"content": {TYPE: {"schema": responses.EVENTS, "examples": shown}}}
        content: Schema = {"schema": self._answer()}
        if shown := examples.answers(self.get_operation_id(), status):
            content["examples"] = shown
        return response | {"content": {JSON: content}}

    @property
    def _is_stream(self) -> bool:
        return bool(getattr(self.view, "is_stream", False))

    def _answer(self) -> Schema:
        row = self.resolve_serializer(self._row(), "response")
        if self.view.action == "list":
            return self._whole_or_some(self._page(row), self._page(self._some_of(row)))
        if self.view.action == "retrieve":
            row = self._expand(row)
            return self._whole_or_some(row, self._some_of(row))
        return self._one_or_many(row.ref)

    def _row(self) -> Any:
        """Return the serializer of the response: after a transition or a creation the whole row, not the request's
        fields."""
        reads = self.method == "GET"
        kind = self.view.get_serializer_class() if reads else self._whole_class()
        return kind(context=self.view.get_serializer_context())

    def _is_versioned(self) -> bool:
        """Return whether the response is one row, which has an ETag."""
        if self.view.action == "list" or self._is_stream:
            return False
        is_guarded = issubclass(type(self.view), PreconditionsMixin) and "version" in self._row().fields
        return is_guarded or issubclass(type(self.view), ContentETagMixin)

    def _whole_class(self) -> Any:
        of_action = getattr(self.view, "response_classes", {}).get(self.view.action)
        return of_action or self.view.serializer_class or self.view.get_serializer_class()

    def _whole_or_some(self, whole: Any, some: Any) -> Schema:
        """Make fields optional: with `?fields=` some are missing."""
        return {"anyOf": [whole.ref, some.ref]} if hasattr(self.view, "expandable") else whole.ref

    def _page(self, row: Any) -> Any:
        rows = {"type": "array", "items": row.ref}
        kind = getattr(self.view.paginator, "schema_suffix", "Page")
        return self._component(f"{row.name}{kind}", self.view.paginator.get_paginated_response_schema(rows))

    def _some_of(self, row: Any) -> Any:
        schema = {name: deepcopy(value) for name, value in row.schema.items() if name != "required"}
        return self._component(f"SomeOf{row.name}", schema | {"description": "Fewer fields, as `?fields=` asked for."})

    def _expand(self, row: Any) -> Any:
        names = getattr(self.view, "expandable", ())
        if not names:
            return row
        schema = deepcopy(row.schema)
        for name in names:
            item = self.resolve_serializer(EXPANDED[name], "response").ref
            schema["properties"][name] = {
                "type": "array",
                "items": item,
                "description": f"Present with `?expand={name}`.",
            }
            if name in CUT:
                schema["properties"][f"{name}_are_cut"] = {"type": "boolean", "description": CUT[name]}
        return self._component(f"{row.name}Detail", schema)

    def _component(self, name: str, schema: Schema) -> Any:
        component = ResolvedComponent(name=name, type=ResolvedComponent.SCHEMA, schema=schema, object=name)
        self.registry.register_on_missing(component)
        return component

    # --- rows and their fields ----------------------------------------------
    def get_serializer_name(self, serializer: object, direction: str) -> str:
        name: str = super().get_serializer_name(serializer, direction).removesuffix("Serializer")
        return name.removesuffix("List") + "Summary" if name.endswith("List") else name

    # drf-spectacular has public extensions for one class of serializers or fields, but none for all.
    def _map_serializer(self, serializer: object, direction: str, bypass_extensions: bool = False) -> Schema:
        schema: Schema = super()._map_serializer(serializer, direction, bypass_extensions)
        if direction == "response" or not vars(type(force_instance(serializer))).get("__doc__"):
            schema.pop("description", None)  # it describes the request
        if direction == "request" and "properties" in schema:
            schema["additionalProperties"] = getattr(serializer, "takes_unknown_fields", False)
        if direction == "response":
            schema["required"] = sorted(schema.get("properties", {}))  # a response contains all fields
        return schema

    def _map_serializer_field(self, field: object, direction: str, bypass_extensions: bool = False) -> Schema:
        mapped = super()._map_serializer_field(field, direction, bypass_extensions)
        schema = field_schemas.complete_schema(field, mapped, direction)
        return self._component(name, schema).ref if (name := field_schemas.document(field)) else schema
