"""Check a run's input against the JSON Schemas of its first nodes: `input_schema` of each node without a predecessor.

The keywords below are checked. `$ref`, `pattern` and `uniqueItems` are not: their cost is not bounded by the sizes of
schema and input, and jsonschema follows `$ref` and `$schema` to any address (docs/decisions.md).
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ledgerkit.db.json_validation import is_integer

if TYPE_CHECKING:
    from .models import Workflow

MOST_FAULTS = 20  # listed in one error
MAX_VALUE = 100  # characters of an allowed value in an error

FAULT = _("input_data{place}: {fault} (input schema of the node “{node}”)")
TYPE = _("expected the type {expected}")
ONE_OF = _("expected one of {expected}")
MISSING = _("is required")
UNKNOWN = _("is not in the schema")
NO_FORM = _("fits none of the forms that the schema allows")
NO_SINGLE_FORM = _("fits more than one of the forms of which the schema allows one")
FORBIDDEN = _("has a form that the schema forbids")
BOUND = _("{keyword} is {bound}")

type Fault = tuple[str, object]  # place, text
type Schema = Mapping[str, object]

TYPES: Mapping[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": is_integer,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}
NUMBERS: Mapping[str, Callable[[float, float], bool]] = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
}
SIZES: Mapping[str, tuple[type, Callable[[float, float], bool]]] = {
    "minLength": (str, NUMBERS["minimum"]),
    "maxLength": (str, NUMBERS["maximum"]),
    "minItems": (list, NUMBERS["minimum"]),
    "maxItems": (list, NUMBERS["maximum"]),
    "minProperties": (dict, NUMBERS["minimum"]),
    "maxProperties": (dict, NUMBERS["maximum"]),
}
FORMS = ("allOf", "anyOf", "oneOf", "not")


def schemas_of(workflow: "Workflow") -> list[tuple[str, object]]:
    """Return the name and the schema of each node with a schema and without a predecessor."""
    later = workflow.edges.values("target_node_id")
    first = workflow.nodes.current().exclude(pk__in=later).exclude(input_schema={})
    return list(first.order_by("name").values_list("name", "input_schema"))


def check(workflow: "Workflow", document: object) -> None:
    """Raise ValidationError, with the places of the first errors, unless the document is valid by every schema."""
    faults = [
        format_lazy(FAULT, place=place, fault=text, node=node)
        for node, schema in schemas_of(workflow)
        for place, text in islice(find_faults(schema, document), MOST_FAULTS)
    ]
    if faults:
        raise ValidationError({"input_data": faults[:MOST_FAULTS]})


def find_faults(schema: object, value: object, place: str = "") -> Iterator[Fault]:
    """Yield place and text of each error. A keyword whose value JSON Schema does not allow is ignored."""
    if schema is False:
        yield place, FORBIDDEN
    if not isinstance(schema, Mapping):
        return
    yield from ((place, text) for text in _faults_of_value(schema, value))
    yield from ((place, text) for text in _faults_of_forms(schema, value))
    if isinstance(value, dict):
        yield from _faults_of_object(schema, value, place)
    elif isinstance(value, list):
        yield from _faults_of_array(schema, value, place)


def _faults_of_value(schema: Schema, value: object) -> Iterator[object]:
    allowed = [name for name in _list(schema.get("type")) if isinstance(name, str) and name in TYPES]
    if allowed and not any(TYPES[name](value) for name in allowed):
        yield format_lazy(TYPE, expected=", ".join(allowed))
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list) and not any(_is_same(value, each) for each in values):
        yield format_lazy(ONE_OF, expected=", ".join(map(repr, values[:MOST_FAULTS]))[:MAX_VALUE])
    for keyword, measure, holds in _bounds(value):
        bound = schema.get(keyword)
        if isinstance(bound, int | float) and not holds(measure, bound):
            yield format_lazy(BOUND, keyword=keyword, bound=bound)


def _bounds(value: object) -> Iterator[tuple[str, float, Callable[[float, float], bool]]]:
    """Yield the keywords that bound the value, with the value itself or its size, and the comparison."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from ((keyword, value, holds) for keyword, holds in NUMBERS.items())
    elif isinstance(value, str | list | dict):
        yield from ((keyword, len(value), holds) for keyword, (kind, holds) in SIZES.items() if isinstance(value, kind))


def _faults_of_forms(schema: Schema, value: object) -> Iterator[object]:
    """Yield the errors of `allOf`, `anyOf`, `oneOf` and `not`."""
    fits = {name: [_fits(each, value) for each in _list(schema[name])] for name in FORMS if name in schema}
    if not all(fits.get("allOf", ())) or (fits.get("anyOf") and not any(fits["anyOf"])):
        yield NO_FORM
    if fits.get("oneOf") and sum(fits["oneOf"]) != 1:
        yield NO_SINGLE_FORM if any(fits["oneOf"]) else NO_FORM
    if any(fits.get("not", ())):
        yield FORBIDDEN


def _faults_of_object(schema: Schema, value: dict[str, object], place: str) -> Iterator[Fault]:
    properties = schema.get("properties")
    known = properties if isinstance(properties, Mapping) else {}
    needed = (name for name in _list(schema.get("required")) if isinstance(name, str))
    yield from ((f"{place}.{name}", MISSING) for name in needed if name not in value)
    others = schema.get("additionalProperties", True) if "patternProperties" not in schema else True
    for name, item in value.items():
        if name not in known and others is False:
            yield f"{place}.{name}", UNKNOWN
        else:
            yield from find_faults(known.get(name, others), item, f"{place}.{name}")


def _faults_of_array(schema: Schema, value: list[object], place: str) -> Iterator[Fault]:
    first = _list(schema.get("prefixItems", []))
    for number, item in enumerate(value):
        of_item = first[number] if number < len(first) else schema.get("items", True)
        yield from find_faults(of_item, item, f"{place}[{number}]")


def _fits(schema: object, value: object) -> bool:
    return next(find_faults(schema, value), None) is None


def _is_same(value: object, other: object) -> bool:
    """Return whether two values of JSON are equal: true is not 1."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _list(value: object) -> list[object]:
    """Return the value as a list: JSON Schema allows one type, or a list of types."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
