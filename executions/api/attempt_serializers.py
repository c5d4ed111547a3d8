"""Serializers of attempts that retries have replaced."""

from executions.models import NodeExecutionAttempt, WorkflowExecutionAttempt

from . import json_rows
from .serializers import LISTED, MOVED, ErrorHeads, RowSerializer


class WorkflowExecutionAttemptListSerializer(ErrorHeads, RowSerializer[WorkflowExecutionAttempt]):
    row = json_rows.attempt_row

    class Meta:
        model = WorkflowExecutionAttempt
        fields = ["id", "number", *LISTED]
        read_only_fields = fields


class WorkflowExecutionAttemptSerializer(RowSerializer[WorkflowExecutionAttempt]):
    row = json_rows.run_attempt_detail

    class Meta:
        model = WorkflowExecutionAttempt
        fields = ["id", "number", *MOVED, "output_data"]
        read_only_fields = fields


class NodeExecutionAttemptListSerializer(ErrorHeads, RowSerializer[NodeExecutionAttempt]):
    row = json_rows.attempt_row

    class Meta:
        model = NodeExecutionAttempt
        fields = ["id", "number", *LISTED]
        read_only_fields = fields


class NodeExecutionAttemptSerializer(RowSerializer[NodeExecutionAttempt]):
    row = json_rows.node_attempt_detail

    class Meta:
        model = NodeExecutionAttempt
        fields = ["id", "number", *MOVED, "output_data", "error_traceback"]
        read_only_fields = fields
