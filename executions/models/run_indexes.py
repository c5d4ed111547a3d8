"""Indexes of the runs, besides those of their constraints."""

from django.contrib.postgres.indexes import OpClass
from django.db.models import F, Q
from django.db.models.functions import Upper

from executions import creation_bounds, sort_keys
from executions.secrets.retention import DELETED
from executions.states import ExecutionStatus
from ledgerkit.db.indexes import GinIndex, Index

FAILED_OR_WITH_ERROR = Q(status=ExecutionStatus.FAILED) | Q(error_message__isnull=False)
INDEXES = [
    # Includes the times, so that a list filtered by them reads only the rows that it shows.
    Index(
        fields=["workflow", "-created_at", "-id"],
        name="idx_workflow_executions_workflow",
        include=["started_at", "ended_at"],
    ),
    Index(fields=["status"], name="idx_workflow_executions_status"),
    Index(fields=["workflow", "status"], name="idx_workflow_executions_workflow_status"),
    Index(
        fields=["-created_at", "-id"],
        name="idx_workflow_executions_created",
        include=["started_at", "ended_at"],
    ),
    Index(fields=["trigger_type", "status"], name="idx_workflow_executions_trigger"),
    GinIndex(fields=["context"], name="idx_workflow_executions_context", opclasses=["jsonb_path_ops"]),
    GinIndex(fields=["metadata"], name="idx_workflow_executions_metadata", opclasses=["jsonb_path_ops"]),
    # The others are for the filters and orderings of the API.
    Index(sort_keys.STARTED, F("id"), name="idx_workflow_executions_started"),
    # Includes the columns of its expression, without which PostgreSQL would read the rows.
    Index(
        sort_keys.DURATION,
        F("id"),
        name="idx_workflow_executions_duration",
        include=["created_at", "started_at", "ended_at"],
    ),
    Index(F("workflow"), sort_keys.DURATION, F("id"), name="idx_workflow_executions_workflow_duration"),
    # In the index of all, those that never ran come first.
    Index(
        sort_keys.DURATION,
        F("id"),
        name="idx_workflow_executions_failed_duration",
        condition=Q(status=ExecutionStatus.FAILED),
    ),
    # Includes all that the monitor counts in a period, so that it reads no row.
    Index(
        fields=["ended_at"],
        name="idx_workflow_executions_ended",
        include=["workflow", "status", "started_at"],
        condition=Q(ended_at__isnull=False),
    ),
    # The oldest pending run. By the index on created_at, that reads the whole history.
    Index(
        fields=["created_at", "id"],
        name="idx_workflow_executions_waiting",
        condition=Q(status=ExecutionStatus.PENDING),
    ),
    # The runs in the queue of a workflow (executions/queue.py).
    Index(
        fields=["workflow", "created_at", "id"],
        name="idx_workflow_executions_queue",
        condition=Q(is_queued=True, status=ExecutionStatus.PENDING),
    ),
    Index(
        fields=["-created_at", "-id"],
        name="idx_workflow_executions_error",
        condition=Q(error_message__isnull=False),
    ),
    # Very few rows: without the index, the list searches all runs for them.
    Index(
        fields=["-created_at", "-id"],
        name="idx_workflow_executions_failed_untold",
        condition=Q(status=ExecutionStatus.FAILED, error_message__isnull=True),
    ),
    Index(
        fields=["-created_at", "-id"],
        name="idx_workflow_executions_failed_nodes",
        condition=Q(failed_nodes__gt=0),
    ),
    # The newest failures, also of a tag or a period: few of all runs failed.
    Index(
        fields=["-created_at", "-id"],
        name="idx_workflow_executions_failed_created",
        condition=Q(status=ExecutionStatus.FAILED),
    ),
    # The same of a workflow, and its runs with an error, among which a text is searched.
    Index(
        fields=["workflow", "-created_at", "-id"],
        name="idx_workflow_executions_workflow_failed",
        condition=FAILED_OR_WITH_ERROR,
    ),
    # For the monitor: the newest failures, and its count.
    Index(
        fields=["-ended_at", "-id"],
        name="idx_workflow_executions_failed",
        condition=Q(status=ExecutionStatus.FAILED),
    ),
    Index(
        fields=["ended_at"],
        name="idx_workflow_executions_completed_failed_nodes",
        condition=Q(status=ExecutionStatus.COMPLETED, failed_nodes__gt=0),
    ),
    # Very few rows, if any (creation_bounds.py).
    Index(
        fields=["-created_at", "-id"],
        name="idx_workflow_executions_displaced",
        include=["started_at", "ended_at"],
        condition=creation_bounds.DISPLACED,
    ),
    # For retention.purge(): most runs no longer have secrets.
    Index(fields=["ended_at"], name="idx_execution_secrets_kept", condition=Q(encrypted_secrets__gt=DELETED)),
    GinIndex(
        OpClass(Upper("error_message"), "gin_trgm_ops"),
        name="idx_workflow_executions_error_text",
        condition=Q(error_message__isnull=False),
    ),
]
