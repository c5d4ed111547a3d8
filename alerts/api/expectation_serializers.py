from typing import TypedDict, Unpack

from django.core.exceptions import ValidationError
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from alerts.models import Expectation
from ledgerkit.rest.fields import MomentField, StrictModelSerializer
from ledgerkit.rest.strict_types import StrictTypes


class Options(TypedDict, total=False):
    required: bool
    allow_null: bool


MAX_EXPECTATIONS = 50  # expectations of one workflow


@extend_schema_field({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"})
class TimeOfDayField(serializers.TimeField):
    """A time such as 09:10."""

    default_error_messages = {"invalid": "Expected a time of day such as 09:10."}

    def __init__(self, **more: Unpack[Options]) -> None:
        super().__init__(format="%H:%M", input_formats=["%H:%M"], **more)


class ExpectationSerializer(StrictTypes, StrictModelSerializer[Expectation]):
    """An expectation. `seconds` is of `success_every` and `ends_within`; `time`, `time_zone` and `days` are of
    `starts_by`."""

    time = TimeOfDayField(required=False, allow_null=True)

    class Meta:
        model = Expectation
        fields = ["kind", "seconds", "time", "time_zone", "days", "is_active"]

    def validate(self, attrs: dict[str, object]) -> dict[str, object]:
        try:
            Expectation(**attrs).clean()
        except ValidationError as error:
            raise serializers.ValidationError(error.message_dict) from error
        return attrs


class ExpectationsSerializer(StrictTypes, serializers.Serializer[Expectation]):
    expectations = ExpectationSerializer(many=True, max_length=MAX_EXPECTATIONS)  # type: ignore[call-arg]  # of the list that `many` makes


class ShownExpectationSerializer(ExpectationSerializer):
    missed_since = MomentField(
        allow_null=True, read_only=True, help_text="Time since which it is missed; null if it is not."
    )

    class Meta(ExpectationSerializer.Meta):
        fields = [*ExpectationSerializer.Meta.fields, "missed_since"]
        read_only_fields = fields


class ShownExpectationsSerializer(serializers.Serializer[Expectation]):
    expectations = ShownExpectationSerializer(many=True, read_only=True)
