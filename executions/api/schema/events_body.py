"""The body of `POST events/`: the kinds of facts, as msgspec describes the classes that decode them."""

from collections.abc import Sequence
from typing import Any

import msgspec
from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent

from executions.facts.body_decoding import MAX_FACTS

type Schema = dict[str, Any]

REFERENCE = "#/components/schemas/{name}"


def request_body(kinds: Sequence[type], registry: ComponentRegistry, examples: Schema) -> Schema:
    """Return the body as JSON. The schema of each kind is registered as a component."""
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    for name, schema in components.items():
        for of_field in schema["properties"].values():
            if "enum" in of_field:
                of_field["type"] = "string"  # msgspec leaves it out, and drf-spectacular looks for it
        schema["properties"]["kind"] = {"type": "string", "const": schema["properties"]["kind"]["enum"][0]}
        found = ResolvedComponent(name, ResolvedComponent.SCHEMA, schema=schema, object=name)
        registry.register_on_missing(found)
    names = {kind.__struct_config__.tag: schema["$ref"] for kind, schema in zip(kinds, schemas, strict=True)}  # type: ignore[attr-defined]  # msgspec sets it on each of its classes
    fact = {"oneOf": list(schemas), "discriminator": {"propertyName": "kind", "mapping": names}}
    many: Schema = {"schema": {"type": "array", "items": fact, "maxItems": MAX_FACTS}}
    # Not NDJSON, which the description names: generators of clients have no parser of it, and warn.
    return {"content": {"application/json": many | ({"examples": examples} if examples else {})}, "required": True}
