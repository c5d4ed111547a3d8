"""JSON says what is a text, a number or a flag. REST framework reads "5" as a number, 5 as a text or an id, 1 as a
flag. A field that a call does not take is refused: whoever sends it believes that it is stored."""

from collections.abc import Callable
from functools import cached_property
from itertools import islice
from typing import Any

from rest_framework import serializers

from ledgerkit.db.json_validation import is_integer

from .query_params import safe_name

type Kind = tuple[type[serializers.Field[Any, Any, Any, Any]], Callable[[Any], bool], str]

# A field is of the first kind that fits. A whole number may be written 5.0, as JSON Schema has it.
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
MOST_UNKNOWN = 20  # that one refusal lists of one object


class StrictTypes(serializers.BaseSerializer[Any]):
    """Refuses a value of another JSON type than its field's and a field that the call does not take, together with
    whatever else is wrong. An update takes the row as it was read: its read-only fields are ignored there."""

    def to_internal_value(self, data: Any) -> Any:
        faults = self._unknown(data) | self._mistyped(data) if isinstance(data, dict) else {}
        if not faults:
            return super().to_internal_value(data)
        raise serializers.ValidationError(self._other_faults(data) | faults)

    def _unknown(self, data: dict[str, Any]) -> dict[str, list[str]]:
        if data.keys() <= self._taken:
            return {}
        sentence = UNKNOWN.format(fields=", ".join(self._writable) or NO_FIELDS)
        unknown = (name for name in data if name not in self._taken)
        return {safe_name(name): [sentence] for name in islice(unknown, MOST_UNKNOWN)}

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
    def _writable(self) -> list[str]:
        fields: dict[str, Any] = self.fields  # type: ignore[attr-defined]  # of the serializer beside it
        return [name for name, field in fields.items() if not field.read_only]

    @cached_property
    def _taken(self) -> frozenset[str]:
        is_update = getattr(self.root, "instance", None) is not None
        return frozenset(self.fields if is_update else self._writable)  # type: ignore[attr-defined]  # as above

    @cached_property
    def _typed(self) -> list[tuple[str, Callable[[Any], bool], str]]:
        fields: dict[str, Any] = self.fields  # type: ignore[attr-defined]  # of the serializer beside it
        return [
            (name, fits, sentence)
            for name, field in fields.items()
            for kind, fits, sentence in KINDS
            if isinstance(field, kind) and not field.read_only
        ]
