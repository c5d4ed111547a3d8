"""Retried runs that wait again: since when, and the failure of the previous attempt."""

from dataclasses import dataclass
from typing import Any

from django.db.models import F, OuterRef, Subquery

from executions import partitions
from executions.admin import formatting
from executions.models import ExecutionStatus, NodeExecution, NodeExecutionAttempt, WorkflowExecutionAttempt

from . import failures


@dataclass(frozen=True)
class Failure:
    """Failure of the previous attempt: its error, and the node that failed first, if any."""

    node: str | None
    line: str


def longest_waiting(runs: Any, number: int) -> list[Any]:
    """Return the `number` new and the `number` retried runs that wait longest, unordered. Retried runs are selected on
    their own, as the oldest run may have been retried a moment ago."""
    new = runs.filter(attempt=1).order_by("created_at", "id")[:number]
    # The newest archived attempt: its UUIDv7 orders the runs by the time of their retry.
    kept: Any = WorkflowExecutionAttempt.objects.filter(workflow_execution=OuterRef("pk")).order_by("-number")
    again = runs.filter(attempt__gt=1).alias(kept=Subquery(kept.values("pk")[:1]))
    return [*new, *again.order_by(F("kept").asc(nulls_first=True), "id")[:number]]


def with_failures(user: Any, runs: list[Any]) -> list[Any]:
    """Set on each waiting run `since`, the time of creation or of the last retry, and `before`, the failure that was
    retried, or None; return the runs."""
    again = [run.pk for run in runs if run.attempt > 1]
    attempts = {row.workflow_execution_id: row for row in _attempts(again)} if again else {}
    nodes = {row.run: row for row in _failed_nodes(user, again)} if again else {}
    for run in runs:
        attempt = attempts.get(run.pk)
        run.since = partitions.time_of(attempt.pk) if attempt else run.created_at
        run.before = _failure(attempt, nodes.get(run.pk)) if attempt else None
    return runs


def _failure(attempt: Any, node: Any) -> Failure:
    line = failures.first_line(node.error if node else None) or failures.first_line(attempt.error)
    return Failure(node.name if node else None, line)


def _attempts(runs: list[Any]) -> Any:
    """Return the newest archived attempt of each run. It is written by the retry, so its UUIDv7 is the time of that."""
    rows: Any = WorkflowExecutionAttempt.objects.filter(workflow_execution__in=runs).only("workflow_execution")
    rows = rows.annotate(error=formatting.first_characters("error_message", formatting.LINE))
    return rows.order_by("workflow_execution_id", "-number").distinct("workflow_execution_id")


def _failed_nodes(user: Any, runs: list[Any]) -> Any:
    """Return, for each run, the failed attempt that ended first among the nodes that the retry reset."""
    waiting = NodeExecution.objects.visible_to(user).filter(
        workflow_execution__in=runs, status=ExecutionStatus.PENDING, attempt__gt=1
    )
    # The attempt before the current one is the one that the retry replaced.
    replaced: Any = NodeExecutionAttempt.objects.filter(number=F("node_execution__attempt") - 1)
    rows = replaced.filter(node_execution__in=waiting.order_by())
    columns = {"run": F("node_execution__workflow_execution"), "name": F("node_execution__node_name")}
    rows = rows.filter(status=ExecutionStatus.FAILED).only("node_execution").annotate(**columns)
    rows = rows.annotate(error=formatting.first_characters("error_message", formatting.LINE))
    return rows.order_by("run", "ended_at", "id").distinct("run")
