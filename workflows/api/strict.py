"""JSON says what is a text, a number or a flag. REST framework reads "5" as a number, 5 as a text or an id, 1 as a
flag."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from rest_framework import serializers

from workflows.storable import is_whole

type Kind = tuple[type[serializers.Field[Any, Any, Any, Any]], Callable[[Any], bool], str]

# A field is of the first kind that fits. A whole number may be written 5.0, as JSON Schema has it.
KINDS: list[Kind] = [
    (serializers.CharField, lambda value: isinstance(value, str), "Expected a string."),
    (serializers.BooleanField, lambda value: isinstance(value, bool), "Expected true or false."),
    (serializers.IntegerField, is_whole, "Expected a whole number."),
    (serializers.UUIDField, lambda value: isinstance(value, str), "Expected a UUID."),
    (serializers.RelatedField, lambda value: isinstance(value, str), "Expected a UUID."),
    (serializers.FloatField, lambda value: type(value) in {int, float}, "Expected a number."),
]


class StrictTypes(serializers.BaseSerializer[Any]):
    """Refuses a value of another JSON type than its field's, together with whatever else is wrong."""

    def to_internal_value(self, data: Any) -> Any:
        mistyped = self._mistyped(data) if isinstance(data, dict) else {}
        if not mistyped:
            return super().to_internal_value(data)
        raise serializers.ValidationError(self._other_faults(data) | mistyped)

    def _mistyped(self, data: dict[str, Any]) -> dict[str, list[str]]:
        return {
            name: [sentence]
            for name, fits, sentence in self._typed
            if (value := data.get(name)) is not None and not fits(value)
        }

    def _other_faults(self, data: Any) -> dict[str, Any]:
        try:
            super().to_internal_value(data)
        except serializers.ValidationError as error:
            return dict(error.detail) if isinstance(error.detail, dict) else {}
        return {}

    @cached_property
    def _typed(self) -> list[tuple[str, Callable[[Any], bool], str]]:
        fields: dict[str, Any] = self.fields  # type: ignore[attr-defined]  # of the serializer beside it
        return [
            (name, fits, sentence)
            for name, field in fields.items()
            for kind, fits, sentence in KINDS
            if isinstance(field, kind) and not field.read_only
        ]
