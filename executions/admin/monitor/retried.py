"""Runs that failed, were retried and wait again: since when, and the failure that they had."""

from dataclasses import dataclass
from typing import Any

from django.db.models import F, OuterRef, Subquery

from executions import partitions
from executions.admin import formatting
from executions.models import ExecutionStatus, NodeExecution, NodeExecutionAttempt, WorkflowExecutionAttempt

from . import failures


@dataclass(frozen=True)
class Failure:
    """What the newest attempt failed with, at the node that failed first, if any did."""

    node: str | None
    line: str


def longest_waiting(runs: Any, number: int) -> list[Any]:
    """Return those of the waiting runs that wait longest, in no order, and at most as many that were retried beside
    them: the first ones to be created may have been retried a moment ago."""
    new = runs.filter(attempt=1).order_by("created_at", "id")[:number]
    kept: Any = WorkflowExecutionAttempt.objects.filter(workflow_execution=OuterRef("pk")).order_by("-number")
    again = runs.filter(attempt__gt=1).alias(kept=Subquery(kept.values("pk")[:1]))
    return [*new, *again.order_by(F("kept").asc(nulls_first=True), "id")[:number]]


def with_failures(user: Any, runs: list[Any]) -> list[Any]:
    """Return the same waiting runs, each with `since`, the time of its creation or of its newest retry, and `before`,
    the failure that was retried, or None."""
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
    """Return the newest attempt of each. Its id says when it was kept, which is when the run was retried."""
    rows: Any = WorkflowExecutionAttempt.objects.filter(workflow_execution__in=runs).only("workflow_execution")
    rows = rows.annotate(error=formatting.first_characters("error_message", formatting.LINE))
    return rows.order_by("workflow_execution_id", "-number").distinct("workflow_execution_id")


def _failed_nodes(user: Any, runs: list[Any]) -> Any:
    """Return the attempt of each run's node that failed first among those which the retry has put back."""
    waiting = NodeExecution.objects.visible_to(user).filter(
        workflow_execution__in=runs, status=ExecutionStatus.PENDING, attempt__gt=1
    )
    replaced: Any = NodeExecutionAttempt.objects.filter(number=F("node_execution__attempt") - 1)
    rows = replaced.filter(node_execution__in=waiting.order_by())
    columns = {"run": F("node_execution__workflow_execution"), "name": F("node_execution__node_name")}
    rows = rows.filter(status=ExecutionStatus.FAILED).only("node_execution").annotate(**columns)
    rows = rows.annotate(error=formatting.first_characters("error_message", formatting.LINE))
    return rows.order_by("run", "ended_at", "id").distinct("run")
