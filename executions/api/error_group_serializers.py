"""Serializers of groups of errors."""

from datetime import UTC, datetime, timedelta

from django.contrib.auth import get_user_model
from django.db.models import Max, Sum
from rest_framework import serializers

from executions import limits
from executions.models import (
    ErrorChangeAct,
    ErrorDay,
    ErrorFingerprint,
    ErrorGroup,
    ErrorGroupChange,
    ErrorNode,
    ErrorOccurrence,
    ErrorRule,
    ErrorState,
)
from ledgerkit.db.plain_rows import Columns
from ledgerkit.rest.fields import ChoiceField, MomentField, StrictModelSerializer, UUIDField
from ledgerkit.rest.strict_types import StrictTypes
from workflows.querysets import User

LONGEST_REASON = 1_000

type Row = dict[str, object]


def group_row(group: Columns) -> Row:
    plain = ("id", "title", "state", "is_regression", "seen", "version")
    times = ("muted_until", "resolved_at", "first_seen", "last_seen", "opened_at", "created_at", "updated_at")
    return {name: group[name] for name in plain} | {"assignee": group["assignee_id"]} | _times(group, *times)


def occurrence_row(row: Columns) -> Row:
    return {
        "id": row["id"], "execution": row["workflow_execution_id"], "attempt": row["attempt"],
        "node_execution": row["node_execution_id"], "node_name": row["node_name"], "fingerprint": row["fingerprint_id"],
        **_times(row, "happened_at"),
    }  # fmt: skip


def change_row(row: Columns) -> Row:
    plain = ("id", "act", "through", "username", "token_name", "reason", "request_id")
    return {name: row[name] for name in plain} | {"changes": row["fields"]} | _times(row, "happened_at")


def _times(row: Columns, *names: str) -> Row:
    return {name: row[name] and row[name].astimezone(UTC) for name in names}


class ErrorGroupSerializer(StrictModelSerializer[ErrorGroup]):
    """A group of errors. `seen` counts attempts of runs; `opened_at` is when the group was new or came back."""

    row = group_row

    class Meta:
        model = ErrorGroup
        fields = [
            "id", "title", "state", "muted_until", "resolved_at", "is_regression", "assignee", "seen", "first_seen",
            "last_seen", "opened_at", "version", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = fields


class ErrorFingerprintSerializer(StrictModelSerializer[ErrorFingerprint]):
    """A fingerprint. `values` are those by which failures were grouped under `rule`."""

    rule = ChoiceField(ErrorRule.choices)
    values = serializers.DictField(child=serializers.JSONField())

    class Meta:
        model = ErrorFingerprint
        fields = ["id", "workflow", "rule", "title", "values", "seen", "first_seen", "last_seen"]
        read_only_fields = fields


class ErrorDaySerializer(serializers.Serializer[Row]):
    day = serializers.DateField()
    seen = serializers.IntegerField()


class ErrorNodeSerializer(serializers.Serializer[Row]):
    workflow = UUIDField()
    node_name = serializers.CharField()
    seen = serializers.IntegerField()
    last_seen = MomentField()


class ErrorGroupDetailSerializer(ErrorGroupSerializer):
    """A group of errors with its 50 latest fingerprints, its 50 latest nodes, and its failures on each of the last 30
    days of UTC; days without failures are left out."""

    fingerprints = ErrorFingerprintSerializer(many=True, read_only=True)
    nodes = ErrorNodeSerializer(many=True, read_only=True)
    days = ErrorDaySerializer(many=True, read_only=True)

    class Meta(ErrorGroupSerializer.Meta):
        fields = [*ErrorGroupSerializer.Meta.fields, "fingerprints", "nodes", "days"]
        read_only_fields = fields

    def to_representation(self, instance: ErrorGroup) -> dict[str, object]:
        fingerprints = instance.fingerprints.order_by("-last_seen", "-id")[: limits.ERROR_PLACES]
        return {
            **ErrorGroupSerializer(instance).data,
            "fingerprints": ErrorFingerprintSerializer(fingerprints, many=True).data,
            "nodes": [ErrorNodeSerializer(row).data for row in _nodes(instance)],
            "days": [ErrorDaySerializer(row).data for row in _days(instance)],
        }


def _nodes(group: ErrorGroup) -> list[Row]:
    rows = ErrorNode.objects.filter(fingerprint__group=group).values("fingerprint__workflow", "node_name")
    counted = rows.annotate(number=Sum("seen"), last=Max("last_seen")).order_by("-last", "node_name")
    return [
        {
            "workflow": row["fingerprint__workflow"], "node_name": row["node_name"], "seen": row["number"],
            "last_seen": row["last"],
        }
        for row in counted[: limits.ERROR_PLACES]
    ]  # fmt: skip


def _days(group: ErrorGroup) -> list[Row]:
    since = datetime.now(UTC).date() - timedelta(days=limits.ERROR_DAYS - 1)
    rows = ErrorDay.objects.filter(fingerprint__group=group, day__gte=since).values("day")
    return [{"day": row["day"], "seen": row["number"]} for row in rows.annotate(number=Sum("seen")).order_by("day")]


class ReasonedSerializer(StrictTypes, serializers.Serializer[None]):
    reason = serializers.CharField(required=False, allow_blank=True, max_length=LONGEST_REASON)


class ChangeErrorGroupSerializer(ReasonedSerializer):
    """Changes of a group. `muted_until` is of the state `muted`. `assignee` is the id of the caller, or, for staff, of
    any member of staff; null for nobody."""

    state = ChoiceField(ErrorState.choices, required=False)
    muted_until = MomentField(required=False, allow_null=True)
    assignee = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=2**31 - 1)

    def validate_assignee(self, pk: int | None) -> User | None:
        if pk is None:
            return None
        caller: User = self.context["request"].user
        if pk == caller.pk:
            return caller
        users = get_user_model()._default_manager.filter(is_active=True, is_staff=True, pk=pk)
        found = users.first() if caller.is_staff else None
        if found is None:
            raise serializers.ValidationError("There is no member of staff with this id.", code="does_not_exist")
        return found


class MergeErrorGroupsSerializer(ReasonedSerializer):
    groups = serializers.ListField(child=UUIDField(), min_length=1, max_length=limits.MERGED_GROUPS)


class SplitErrorGroupSerializer(ReasonedSerializer):
    fingerprints = serializers.ListField(child=UUIDField(), min_length=1, max_length=limits.MERGED_GROUPS)


class NoteSerializer(StrictTypes, serializers.Serializer[None]):
    text = serializers.CharField(max_length=LONGEST_REASON)


class ErrorOccurrenceSerializer(StrictModelSerializer[ErrorOccurrence]):
    """An attempt of a run that failed so; `node_execution` is the first of its nodes, null for the error of the run."""

    row = occurrence_row
    execution = UUIDField(source="workflow_execution_id")
    node_execution = UUIDField(source="node_execution_id", allow_null=True)
    fingerprint = UUIDField(source="fingerprint_id")

    class Meta:
        model = ErrorOccurrence
        fields = ["id", "execution", "attempt", "node_execution", "node_name", "fingerprint", "happened_at"]
        read_only_fields = fields


class ErrorGroupChangeSerializer(StrictModelSerializer[ErrorGroupChange]):
    """A change of a group. `changes` maps fields to their values before and after. The reason of a note is its text."""

    row = change_row
    act = ChoiceField(ErrorChangeAct.choices)
    changes = serializers.DictField(source="fields", child=serializers.ListField(child=serializers.JSONField()))

    class Meta:
        model = ErrorGroupChange
        fields = ["id", "happened_at", "act", "changes", "through", "username", "token_name", "reason", "request_id"]
        read_only_fields = fields
