"""Strict JSON types. REST framework accepts "5" as a number, 5 as a text or an id, and 1 as a boolean; here they are
errors. Unknown fields are errors too: a client that sends one expects it to be stored."""

from collections.abc import Callable, KeysView
from functools import cache
from typing import Any, NamedTuple

from rest_framework import serializers

from ledgerkit.db.json_validation import is_integer

from .query_params import safe_name

type Kind = tuple[type[serializers.Field[Any, Any, Any, Any]], Callable[[object], bool], str]

# The first matching field class wins. An integer may be written 5.0, as in JSON Schema.
KINDS: list[Kind] = [
    (serializers.CharField, lambda value: isinstance(value, str), "Expected a string."),
    (serializers.BooleanField, lambda value: isinstance(value, bool), "Expected true or false."),
    (serializers.IntegerField, is_integer, "Expected a whole number."),
    (serializers.UUIDField, lambda value: isinstance(value, str), "Expected a UUID."),
    (serializers.RelatedField, lambda value: isinstance(value, str), "Expected a UUID."),
    (serializers.FloatField, lambda value: type(value) in {int, float}, "Expected a number."),
]


UNKNOWN = "Unknown field: this call takes {fields}."
NO_FIELDS = "no fields"
MOST_UNKNOWN = 20  # unknown fields listed per object in one error


class Shape(NamedTuple):
    """The fields of a serializer class: the names of all, of those that are not read-only, and the checks of these."""

    names: KeysView[str]
    writable: KeysView[str]
    checks: list[tuple[str, Callable[[object], bool], str]]


class StrictTypes(serializers.BaseSerializer[Any]):
    """Serializer mixin that rejects values of another JSON type and unknown fields, together with all other errors. An
    update accepts the row as it was read: its read-only fields are ignored."""

    def to_internal_value(self, data: object) -> Any:
        faults = self._faults(data) if isinstance(data, dict) else {}
        if not faults:
            return super().to_internal_value(data)
        raise serializers.ValidationError(self._other_faults(data) | faults)

    def _faults(self, data: dict[str, object]) -> dict[str, list[str]]:
        """Return the errors of unknown fields and of values of another type."""
        shape = self._shape()
        taken = shape.writable if getattr(self.root, "instance", None) is None else shape.names
        unknown = [name for name in data if name not in taken][:MOST_UNKNOWN]
        sentence = unknown and UNKNOWN.format(fields=", ".join(shape.writable) or NO_FIELDS)
        faults = {safe_name(name): [str(sentence)] for name in unknown}
        for name, fits, expected in shape.checks:
            if (value := data.get(name)) is not None and not fits(value):
                faults[name] = [expected]
        return faults

    def _other_faults(self, data: object) -> dict[str, Any]:
        try:
            super().to_internal_value(data)
        except serializers.ValidationError as error:
            return dict(error.detail) if isinstance(error.detail, dict) else {}
        return {}

    @classmethod
    @cache
    def _shape(cls) -> Shape:
        """Return the fields of the class, which are the same for each request."""
        fields: dict[str, Any] = dict(cls().fields)  # type: ignore[attr-defined]  # of the serializer beside it
        writable = {name: field for name, field in fields.items() if not field.read_only}
        checks = [
            (name, fits, sentence)
            for name, field in writable.items()
            for kind, fits, sentence in KINDS
            if isinstance(field, kind)
        ]
        return Shape(fields.keys(), writable.keys(), checks)
