from typing import Any
from uuid import RFC_4122, UUID

from rest_framework import serializers


class UUID7Field(serializers.UUIDField):
    """An id that the caller may choose, so that it is known before the row exists."""

    default_error_messages = {"version": "Expected a UUID version 7, whose first 48 bits are the time."}

    def to_internal_value(self, data: Any) -> UUID:
        value = super().to_internal_value(data)
        if value.version != 7 or value.variant != RFC_4122:
            self.fail("version")
        return value


class ObjectField(serializers.JSONField):
    """A JSON object."""

    default_error_messages = {"object": "Expected an object."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            self.fail("object")
        return super().to_internal_value(data)
