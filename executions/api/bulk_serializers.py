"""Serializers of bulk actions."""

from typing import Any

from rest_framework import serializers

from executions.models import BulkAction, BulkActionRun, BulkActionState, BulkState, BulkVerb
from ledgerkit.rest.fields import ChoiceField, ObjectField
from ledgerkit.rest.strict_types import StrictTypes

from . import json_rows
from .serializers import RowSerializer

COUNTED = "The number of runs that are changed; 20,001 stands for more, which no action may have."

MATCHING = "The number of runs that match the filter, in whatever status; 20,001 stands for more."


class NewBulkActionSerializer(StrictTypes, serializers.Serializer[None]):
    """A new bulk action. `filter` has the names and values of the parameters of GET `executions/`, a list where one is
    given several times. `reason` is required by `fail` and `delete`. With `dry_run` nothing is changed."""

    action = ChoiceField(BulkVerb.choices)
    filter = ObjectField()
    reason = serializers.CharField(required=False, allow_blank=True)
    dry_run = serializers.BooleanField(required=False)


class StopSerializer(StrictTypes, serializers.Serializer[None]):
    """A body without fields."""


class BegunBulkActionSerializer(serializers.Serializer[Any]):
    """Answer to a new bulk action. `id` is null after a dry run. `sample` has the ids of the newest runs that are
    changed."""

    id = serializers.UUIDField(allow_null=True)
    number = serializers.IntegerField(help_text=COUNTED)
    matching = serializers.IntegerField(help_text=MATCHING)
    sample = serializers.ListField(child=serializers.UUIDField())


class BulkActionSerializer(RowSerializer[BulkAction]):
    """One bulk action. `done` and `refused` are counted again each second."""

    row = json_rows.bulk_action_row
    action = serializers.ChoiceField(BulkVerb.choices, source="verb", read_only=True)
    filter = ObjectField(source="filters", read_only=True)
    state = serializers.ChoiceField(BulkActionState.choices, read_only=True)
    created_at = serializers.DateTimeField(source="happened_at", read_only=True)

    class Meta:
        model = BulkAction
        fields = [
            "id", "action", "filter", "state", "number", "done", "refused", "reason", "username", "token_name",
            "through", "request_id", "created_at", "stopped_at", "stopped_by", "ended_at",
        ]  # fmt: skip
        read_only_fields = fields


class BulkActionRunSerializer(RowSerializer[BulkActionRun]):
    """Result of one run; `answer` is the reason for the refusal."""

    row = json_rows.bulk_action_run_row
    workflow_execution = serializers.UUIDField(source="workflow_execution_id", read_only=True)
    state = serializers.ChoiceField(BulkState.choices, read_only=True)

    class Meta:
        model = BulkActionRun
        fields = ["id", "workflow_execution", "workflow_name", "state", "answer", "done_at"]
        read_only_fields = fields
