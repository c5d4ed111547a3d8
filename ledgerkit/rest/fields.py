"""Serializer fields whose errors name the expected type and never repeat the value. It may be a misplaced secret, and
the response is stored with its Idempotency-Key."""

from datetime import UTC, datetime
from typing import Any
from uuid import RFC_4122, UUID

from django.db.models import DateTimeField, JSONField, Model
from rest_framework import ISO_8601, serializers

from ledgerkit.db import fields, json_validation, names

LAST = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp() * 1000)
NOT_A_UUID: dict[str, Any] = {"invalid": "Expected a UUID."}


class UUIDField(serializers.UUIDField):
    default_error_messages = NOT_A_UUID


class RelatedField(serializers.PrimaryKeyRelatedField[Any]):
    default_error_messages = {"does_not_exist": "No object with this id exists.", "incorrect_type": "Expected a UUID."}

    def __init__(self, **more: Any) -> None:
        super().__init__(pk_field=UUIDField(), **more)


class ChoiceField(serializers.ChoiceField):
    def __init__(self, choices: Any, **more: Any) -> None:
        super().__init__(choices, **more)
        self.error_messages["invalid_choice"] = f"Expected one of: {', '.join(map(str, self.choices))}."


class DocumentField(serializers.JSONField):
    """Any JSON, up to the size of a document. The parser of the request has checked it."""

    def to_internal_value(self, data: object) -> Any:
        if not json_validation.is_storable(data) and (too_large := json_validation.size_fault(data)):
            raise serializers.ValidationError(too_large, "too_large")
        return data


class NameField(serializers.CharField):
    """A name, in Unicode NFC."""

    def to_internal_value(self, data: Any) -> str:
        name = names.nfc(super().to_internal_value(data))
        # As it was sent: the white space that is trimmed off its ends includes control characters.
        if fault := names.find_error(data if isinstance(data, str) else name):
            raise serializers.ValidationError(fault, "not_a_name")
        return name


class MomentField(serializers.DateTimeField):
    default_error_messages = {"invalid": f"{json_validation.MOMENT}."}
    format = ISO_8601

    def to_internal_value(self, value: object) -> datetime:
        try:
            return json_validation.parse_utc_datetime(value)
        except ValueError:
            self.fail("invalid")


class StrictModelSerializer[M: Model](serializers.ModelSerializer[M]):
    """A ModelSerializer of these fields."""

    serializer_choice_field = ChoiceField
    serializer_field_mapping = serializers.ModelSerializer.serializer_field_mapping | {
        JSONField: DocumentField,
        fields.NameField: NameField,
        DateTimeField: MomentField,
    }


class UUID7Field(serializers.UUIDField):
    """An id that the client may choose, so that it is known before the row exists."""

    default_error_messages = NOT_A_UUID | {
        "version": "Expected a UUID version 7, whose first 48 bits are the time.",
        "late": "The time inside this id lies beyond the year 9999.",
    }

    def to_internal_value(self, data: Any) -> UUID:
        value = super().to_internal_value(data)
        if value.version != 7 or value.variant != RFC_4122:
            self.fail("version")
        if value.int >> 80 >= LAST:
            self.fail("late")
        return value


class ObjectField(DocumentField):
    """A JSON object."""

    default_error_messages = {"object": "Expected an object."}

    def to_internal_value(self, data: object) -> Any:
        if not isinstance(data, dict):
            self.fail("object")
        return super().to_internal_value(data)
