"""Serializers at the price of what they do. REST framework makes the fields of a model's serializer anew for every
request and asks each of them, row by row, how it is read; of one class both are always the same."""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache, cached_property
from operator import attrgetter
from typing import Any

from django.core.exceptions import ValidationError
from rest_framework import serializers
from rest_framework.fields import SkipField, empty, get_error_detail
from rest_framework.relations import PKOnlyObject

type Field = serializers.Field[Any, Any, Any, Any]
type Reader = Callable[[Any], Any]


class LeanSerializer(serializers.BaseSerializer[Any]):
    """Stands before a ModelSerializer. What its constraints forbid the ledger refuses, in its own words."""

    def get_fields(self) -> dict[str, Any]:
        """Return the fields that `?fields=` names, where the view puts it into the context."""
        kind, wanted = type(self), self._context.get("fields")
        if kind not in _FIELDS:
            _FIELDS[kind] = super().get_fields()  # type: ignore[misc]  # of the serializer beside it
        return {name: _twin(field) for name, field in _FIELDS[kind].items() if wanted is None or name in wanted}

    def get_validators(self) -> list[Any]:
        return []

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """REST framework's, which looks for each field's method and asks the field even where nothing was sent."""
        if not isinstance(data, dict):
            return super().to_internal_value(data)  # type: ignore[no-any-return]  # refuses it
        told: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        for name, source, needed, check in self._checks:
            if needed or name in data:
                try:
                    told[source] = check(data.get(name, empty))
                except serializers.ValidationError as error:
                    errors[name] = error.detail
                except ValidationError as error:
                    errors[name] = get_error_detail(error)
                except SkipField:
                    pass
        if errors:
            raise serializers.ValidationError(errors)
        return told

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return {name: read(instance) for name, read in self._readers}

    @cached_property
    def _checks(self) -> list[tuple[str, str, bool, Reader]]:
        """Return for each writable field its name, its source, whether it applies when omitted, and its check."""
        return [
            (name, field.source or name, field.required or field.default is not empty, self._check(name, field))
            for name, field in self._own_fields.items()
            if not field.read_only
        ]

    def _check(self, name: str, field: Field) -> Reader:
        more = getattr(self, f"validate_{name}", None)
        return field.run_validation if more is None else lambda value: more(field.run_validation(value))

    @cached_property
    def _readers(self) -> list[tuple[str, Reader]]:
        return [(name, _reader(field)) for name, field in self._own_fields.items() if not field.write_only]

    @property
    def _own_fields(self) -> dict[str, Field]:
        return self.fields  # type: ignore[attr-defined,no-any-return]  # of the serializer beside it


_FIELDS: dict[type, dict[str, Field]] = {}


def _twin(field: Field) -> Field:
    """Copy the field as it was before it was bound to a serializer. The parts that both share never change."""
    if isinstance(field, serializers.BaseSerializer) or hasattr(field, "child"):
        return deepcopy(field)
    twin: Field = object.__new__(type(field))
    vars(twin).update(vars(field))
    return twin


def _reader(field: Field) -> Reader:
    """Return a function that reads the field's value from a row, by the shortest way for known kinds of fields."""
    written = WRITTEN.get(type(field).to_representation)
    if written is None or type(field).get_attribute not in PLAIN:
        return _asked(field)
    if isinstance(field, serializers.PrimaryKeyRelatedField):
        return _known(f"{field.source}_id", _as_it_is if field.pk_field is None else _word)
    return _known(field.source or "", written)


@cache
def _known(source: str, written: Reader) -> Reader:
    value_of = attrgetter(source)
    if written is _as_it_is:
        return value_of

    def read(row: Any) -> Any:
        value = value_of(row)
        return None if value is None else written(value)

    return read


def _asked(field: Field) -> Reader:
    def read(row: Any) -> Any:
        value = field.get_attribute(row)
        found = value.pk if isinstance(value, PKOnlyObject) else value
        return None if found is None else field.to_representation(value)

    return read


def _as_it_is(value: Any) -> Any:
    return value


def _moment(value: datetime) -> str:
    text = value.isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else _moment(value.astimezone(UTC))


def _word(value: Any) -> str:
    return str(value)


PLAIN = (serializers.Field.get_attribute, serializers.PrimaryKeyRelatedField.get_attribute)
WRITTEN: dict[Any, Reader] = {
    serializers.CharField.to_representation: _word,
    serializers.ChoiceField.to_representation: _word,
    serializers.UUIDField.to_representation: _word,
    serializers.DateTimeField.to_representation: _moment,
    serializers.JSONField.to_representation: _as_it_is,
    serializers.IntegerField.to_representation: _as_it_is,
    serializers.ReadOnlyField.to_representation: _as_it_is,
    serializers.PrimaryKeyRelatedField.to_representation: _as_it_is,
}
