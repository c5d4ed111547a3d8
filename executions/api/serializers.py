"""Serializers of the ledger's rows. Fields that a transition changes are read-only; lists have no payloads."""

from collections.abc import Callable
from datetime import UTC
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Model
from rest_framework import serializers

from executions import limits, partitions, run_graph
from executions.attention import QUESTIONS, Finding
from executions.conf import executions_settings
from executions.log_preparation import MAX_SOURCE
from executions.models import (
    ExecutionLog,
    ExecutionStatus,
    HistoryEntry,
    KeptRun,
    NodeExecution,
    WorkflowExecution,
)
from executions.querysets import can_see_nodes_and_logs
from executions.queue import RunAhead
from ledgerkit.rest.fields import (
    MomentField,
    NameField,
    ObjectField,
    StrictModelSerializer,
    UUID7Field,
    UUIDField,
)
from ledgerkit.rest.strict_types import StrictTypes
from workflows.api.serializers import GraphEdgeSerializer, GraphNodeSerializer, graph_with_levels
from workflows.models import Graph

from . import json_rows
from .log_line_serializers import LogLinesSerializer, period_of_ids

MOVED = ["status", "started_at", "ended_at", "duration_seconds", "error_code", "error_message"]
LISTED = [*MOVED, "error_is_cut"]
LAST_PLACE = 2**31 - 1  # PostgreSQL's integer
STAMPS = ["attempt", "version", "created_at", "updated_at"]


class RowOutput(serializers.BaseSerializer[Any]):
    """Mixin of serializers whose rows are written by a function of `json_rows`, here for a single row; lists call it
    themselves (RowListMixin). `fields` of the context has the names in `?fields=`."""

    row: ClassVar[Callable[[Any], json_rows.Row]]

    def to_representation(self, instance: object) -> json_rows.Row:
        row, fields = type(self).row(instance), self.context.get("fields")
        return row if fields is None else {name: value for name, value in row.items() if name in fields}


class RowSerializer[M: Model](RowOutput, StrictModelSerializer[M]):
    """Serializer whose fields describe what a function of `json_rows` returns."""

    def get_validators(self) -> list[Any]:
        """Return none: the constraints of the database are checked when the row is stored."""
        return []


class ErrorHeads(serializers.Serializer[Any]):
    """The beginning of a row's error as in lists (2 KiB), and whether it was cut."""

    error_message = serializers.CharField(read_only=True, allow_null=True)
    error_is_cut = serializers.BooleanField(read_only=True)


class WorkflowExecutionListSerializer(ErrorHeads, RowSerializer[WorkflowExecution]):
    row = json_rows.run_row

    class Meta:
        model = WorkflowExecution
        fields = ["id", "workflow", "workflow_name", "trigger_type", *LISTED, "failed_nodes", "metadata", *STAMPS]
        read_only_fields = fields


class WorkflowExecutionSerializer(RowSerializer[WorkflowExecution]):
    row = json_rows.run_detail
    input_data = ObjectField(read_only=True)
    context = ObjectField(read_only=True)  # type: ignore[assignment]  # REST framework removes it from the class
    metadata = ObjectField(read_only=True)
    queue = serializers.BooleanField(source="is_queued", read_only=True)

    class Meta:
        model = WorkflowExecution
        fields = [
            "id", "workflow", "workflow_name", "trigger_type", *MOVED, "failed_nodes", "input_data", "output_data",
            "context", "metadata", *STAMPS, "queue",
        ]  # fmt: skip
        read_only_fields = fields


class StartedExecutionSerializer(WorkflowExecutionSerializer):
    """The run, with the token of the attempt; null if it was started without a worker and a lease."""

    token = serializers.UUIDField(read_only=True, allow_null=True)

    class Meta(WorkflowExecutionSerializer.Meta):
        fields = [*WorkflowExecutionSerializer.Meta.fields, "token"]


class LeaseSerializer(serializers.Serializer[Any]):
    """The lease that a heartbeat has extended. `expires_at` is null for a worker without a lease."""

    attempt = serializers.IntegerField()
    worker = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True)


class RunAheadSerializer(serializers.Serializer[Any]):
    """A run that a queued run waits for."""

    workflow_execution = serializers.UUIDField()
    status = serializers.ChoiceField(["running", "pending"])

    @staticmethod
    def row(ahead: RunAhead) -> json_rows.Row:
        return {"workflow_execution": ahead.id, "status": ahead.status}


class AttentionSerializer(serializers.Serializer[Any]):
    """Why a row needs attention. `since` is the last sign of life if it is silent, and the moment when its turn came if
    nobody starts it; else the moment when the limit of `seconds` was exceeded, which is its lease, its time-out, or the
    95th percentile of its workflow."""

    question = serializers.ChoiceField(QUESTIONS)
    since = serializers.DateTimeField()
    lease_expired = serializers.BooleanField(
        allow_null=True, help_text="True if the lease expired, false if the time-out passed; null unless overdue."
    )
    seconds = serializers.FloatField(allow_null=True)
    behind = serializers.IntegerField(
        allow_null=True, help_text=f"Number of runs queued behind an unstarted run, up to {limits.RUNS_BEHIND:,}."
    )

    @staticmethod
    def row(found: Finding) -> json_rows.Row:
        return {
            "question": found.question,
            "since": found.since.astimezone(UTC),
            "lease_expired": found.lease_expired,
            "seconds": None if found.seconds is None else float(found.seconds),
            "behind": found.behind,
        }


class GraphOfExecutionNodeSerializer(GraphNodeSerializer):
    """A node of the graph. `node_execution` and its `status` are null until the node is executed in this run."""

    node_execution = serializers.UUIDField(allow_null=True)
    status = serializers.ChoiceField(ExecutionStatus.choices, allow_null=True)


class GraphOfExecutionSerializer(serializers.Serializer[Any]):
    """The graph with which the run was created, whatever has changed in its workflow since."""

    workflow_execution = serializers.UUIDField()
    workflow = serializers.UUIDField()
    levels = serializers.ListField(child=serializers.ListField(child=serializers.UUIDField()))
    nodes = GraphOfExecutionNodeSerializer(many=True)
    edges = GraphEdgeSerializer(many=True)

    def to_representation(self, instance: WorkflowExecution) -> dict[str, object]:
        """Return the graph, which is stored as JSON. Empty for users who may not see node executions."""
        sees_nodes, _lines = can_see_nodes_and_logs(self.context["request"].user, instance)
        shown = graph_with_levels(run_graph.of_run(instance) if sees_nodes else Graph(workflow_id=instance.workflow_id))
        rows = instance.node_executions.all() if sees_nodes else instance.node_executions.none()
        done = {str(node): each for node, *each in rows.values_list("node_id", "id", "status")}
        for node in shown["nodes"]:
            id, status = done.get(node["id"], (None, None))
            node |= {"node_execution": id and str(id), "status": status}
        return {"workflow_execution": str(instance.pk), "workflow": str(instance.workflow_id), **shown}


class HistoryEntrySerializer(RowSerializer[HistoryEntry]):
    row = json_rows.history_row

    class Meta:
        model = HistoryEntry
        fields = [
            "id", "workflow_execution", "node_execution", "attempt", "act", "from_status", "to_status", "through",
            "username", "token_name", "reason", "request_id", "happened_at",
        ]  # fmt: skip
        read_only_fields = fields


class GapSerializer(serializers.Serializer[Any]):
    """Lines `first` to `last` of a source are missing."""

    source = serializers.CharField(allow_null=True)  # type: ignore[assignment]  # REST framework removes it from the class
    first = serializers.IntegerField()
    last = serializers.IntegerField()


class MissingLinesSerializer(serializers.Serializer[Any]):
    """The first gaps; with `is_cut` there are more."""

    gaps = GapSerializer(many=True)
    is_cut = serializers.BooleanField()


class KeepSerializer(StrictTypes, serializers.Serializer[Any]):
    """The mark of a kept run. `reason` is stored with it."""

    reason = serializers.CharField(required=False, allow_blank=True, allow_null=True)


class KeptSerializer(serializers.Serializer[Any]):
    """The mark that keeps a run from retention: since when, by whom and why."""

    is_kept = serializers.BooleanField()
    kept_at = serializers.DateTimeField(allow_null=True)
    username = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)

    @staticmethod
    def row(kept: KeptRun | None) -> dict[str, object]:
        known = (None, "", "") if kept is None else (kept.kept_at, kept.username, kept.reason)
        return dict(zip(("is_kept", "kept_at", "username", "reason"), (kept is not None, *known), strict=True))


class NodeExecutionListSerializer(ErrorHeads, RowSerializer[NodeExecution]):
    row = json_rows.node_row
    node_name = serializers.CharField(read_only=True)

    class Meta:
        model = NodeExecution
        fields = [
            "id", "workflow_execution", "node", "node_name", "execution_order",
            *LISTED, "retry_count", "can_retry", *STAMPS,
        ]  # fmt: skip
        read_only_fields = fields


class NodeExecutionSerializer(RowSerializer[NodeExecution]):
    row = json_rows.node_detail
    node_name = serializers.CharField(read_only=True)
    execution_order = serializers.IntegerField(read_only=True, min_value=0, max_value=LAST_PLACE)
    input_data = ObjectField(read_only=True)

    class Meta:
        model = NodeExecution
        fields = [
            "id", "workflow_execution", "node", "node_name", "execution_order",
            *MOVED, "retry_count", "can_retry", *STAMPS, "input_data", "output_data", "error_traceback",
        ]  # fmt: skip
        read_only_fields = fields


class StartedNodeExecutionSerializer(NodeExecutionSerializer):
    """The node execution, with the token of the attempt; null if it was started without a worker and a lease."""

    token = serializers.UUIDField(read_only=True, allow_null=True)

    class Meta(NodeExecutionSerializer.Meta):
        fields = [*NodeExecutionSerializer.Meta.fields, "token"]


class ExecutionLogSerializer(StrictTypes, RowSerializer[ExecutionLog]):
    """A log line. `node_execution` is one of the same run; `timestamp` defaults to now. The time in an `id` selects the
    partition, so it has to be recent. `source` names the process that writes, and `seq` is the number that it gives the
    line, from 1. `attempt` defaults to the current one of the node execution, or of the run. `token` is that of the
    attempt of the node execution, or of the run if there is none; `run_token` is always that of the run."""

    row = json_rows.log_row
    listed = json_rows.ListedLine
    id = UUID7Field(required=False)
    node_execution = UUIDField(source="node_execution_id", required=False, allow_null=True)
    message = serializers.CharField(trim_whitespace=False, allow_blank=True)
    timestamp = MomentField(required=False)
    source = NameField(required=False, allow_null=True, max_length=MAX_SOURCE)  # type: ignore[assignment]  # REST framework removes it from the class
    seq = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=2**63 - 1)
    attempt = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=LAST_PLACE)
    token = UUIDField(required=False, allow_null=True, write_only=True)
    run_token = UUIDField(required=False, allow_null=True, write_only=True)

    class Meta:
        model = ExecutionLog
        list_serializer_class = LogLinesSerializer
        fields = [
            "id", "workflow_execution", "node_execution", "level", "message", "data", "timestamp", "is_cut", "source",
            "seq", "attempt", "token", "run_token",
        ]  # fmt: skip
        read_only_fields = ["workflow_execution", "is_cut"]

    def validate_id(self, value: UUID) -> UUID:
        first, last = period_of_ids()
        if not first < partitions.time_of(value) < last:
            days = executions_settings.LOG_ID_DAYS
            raise serializers.ValidationError(f"The time inside this id is not within the last {days} days.")
        return value

    def validate_node_execution(self, value: UUID | None) -> UUID | None:
        if value is not None and value not in self.context["node_executions"]:
            raise serializers.ValidationError("This execution has no node execution with this id.")
        return value
