"""Serializers of the bodies of actions, such as `fail`."""

from rest_framework import serializers

from ledgerkit.rest.fields import DocumentField, MomentField
from ledgerkit.rest.strict_types import StrictTypes


class ActionSerializer(StrictTypes, serializers.Serializer[None]):
    """`at` is the time of the transition by the engine's clock; it defaults to the server's time."""

    at = MomentField(required=False, allow_null=True)


class ReasonSerializer(ActionSerializer):
    """`reason` is stored in the history of the run."""

    reason = serializers.CharField(required=False, allow_blank=True, allow_null=True)


class DeleteSerializer(StrictTypes, serializers.Serializer[None]):
    """`reason` is stored in the record of the deletion."""

    reason = serializers.CharField()


class CompleteSerializer(ActionSerializer):
    output_data = DocumentField(required=False, allow_null=True)


class FailSerializer(ActionSerializer):
    """A missing or empty message becomes a sentence, with the class of the exception if the traceback ends with it."""

    error_message = serializers.CharField(trim_whitespace=False, default="", allow_blank=True, allow_null=True)


class FailNodeSerializer(FailSerializer):
    error_traceback = serializers.CharField(trim_whitespace=False, required=False, allow_null=True, allow_blank=True)
