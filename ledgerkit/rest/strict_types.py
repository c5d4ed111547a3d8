"""Strict JSON types. REST framework accepts "5" as a number, 5 as a text or an id, and 1 as a boolean; here they are
errors. Unknown fields are errors too: a client that sends one expects it to be stored."""

from collections.abc import Callable
from functools import cached_property
from itertools import islice
from typing import Any

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


class StrictTypes(serializers.BaseSerializer[Any]):
    """Serializer mixin that rejects values of another JSON type and unknown fields, together with all other errors. An
    update accepts the row as it was read: its read-only fields are ignored."""

    def to_internal_value(self, data: object) -> Any:
        faults = self._unknown_fields(data) | self._mistyped_fields(data) if isinstance(data, dict) else {}
        if not faults:
            return super().to_internal_value(data)
        raise serializers.ValidationError(self._other_faults(data) | faults)

    def _unknown_fields(self, data: dict[str, object]) -> dict[str, list[str]]:
        if data.keys() <= self._taken:
            return {}
        sentence = UNKNOWN.format(fields=", ".join(self._writable) or NO_FIELDS)
        unknown = (name for name in data if name not in self._taken)
        return {safe_name(name): [sentence] for name in islice(unknown, MOST_UNKNOWN)}

    def _mistyped_fields(self, data: dict[str, object]) -> dict[str, list[str]]:
        return {
            name: [sentence]
            for name, fits, sentence in self._type_checks
            if (value := data.get(name)) is not None and not fits(value)
        }

    def _other_faults(self, data: object) -> dict[str, Any]:
        try:
            super().to_internal_value(data)
        except serializers.ValidationError as error:
            return dict(error.detail) if isinstance(error.detail, dict) else {}
        return {}

    @cached_property
    def _writable(self) -> list[str]:
        fields: dict[str, Any] = self.fields  # type: ignore[attr-defined]  # of the serializer beside it
        return [name for name, field in fields.items() if not field.read_only]

    @cached_property
    def _taken(self) -> frozenset[str]:
        is_update = getattr(self.root, "instance", None) is not None
        return frozenset(self.fields if is_update else self._writable)  # type: ignore[attr-defined]  # as above

    @cached_property
    def _type_checks(self) -> list[tuple[str, Callable[[object], bool], str]]:
        fields: dict[str, Any] = self.fields  # type: ignore[attr-defined]  # of the serializer beside it
        return [
            (name, fits, sentence)
            for name, field in fields.items()
            for kind, fits, sentence in KINDS
            if isinstance(field, kind) and not field.read_only
        ]
