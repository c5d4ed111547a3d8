"""Retried runs that wait again: since when, and the failure of the previous attempt."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, OuterRef, Subquery
from django.utils import timezone

from executions import partitions
from executions.admin import formatting, run_failures
from executions.admin.types import Runs, User
from executions.models import (
    ExecutionStatus,
    NodeExecution,
    NodeExecutionAttempt,
    WorkflowExecution,
    WorkflowExecutionAttempt,
)


@dataclass(frozen=True)
class Failure:
    """Failure of the previous attempt: its error, and the node that failed first, if any."""

    node: str | None
    line: str


@dataclass(frozen=True, slots=True)
class Wait:
    """`since` is the time of creation or of the last retry, `before` the failure that was retried."""

    since: datetime
    before: Failure | None

    @property
    def duration(self) -> str:
        return formatting.format_duration(max(0.0, (timezone.now() - self.since).total_seconds()))


def longest_waiting(runs: Runs, number: int) -> list[Any]:
    """Return the `number` new and the `number` retried runs that wait longest, unordered. Retried runs are selected on
    their own, as the oldest run may have been retried a moment ago."""
    new = runs.filter(attempt=1).order_by("created_at", "id")[:number]
    # The newest archived attempt: its UUIDv7 orders the runs by the time of their retry.
    kept: Any = WorkflowExecutionAttempt.objects.filter(workflow_execution=OuterRef("pk")).order_by("-number")
    again = runs.filter(attempt__gt=1).alias(kept=Subquery(kept.values("pk")[:1]))
    return [*new, *again.order_by(F("kept").asc(nulls_first=True), "id")[:number]]


def get_waits(user: User, runs: list[Any]) -> dict[UUID, Wait]:
    """Return the wait of each run by its id, with two queries."""
    again = [run.pk for run in runs if run.attempt > 1]
    attempts = {row.workflow_execution_id: row for row in _attempts(again)} if again else {}
    nodes = {row.run: row for row in _failed_nodes(user, again)} if again else {}
    return {run.pk: _wait(run, attempts.get(run.pk), nodes.get(run.pk)) for run in runs}


def _wait(run: WorkflowExecution, attempt: Any, node: Any) -> Wait:
    if attempt is None:
        return Wait(run.created_at, None)
    return Wait(partitions.time_of(attempt.pk), _failure(attempt, node))


def _failure(attempt: Any, node: Any) -> Failure:
    line = run_failures.first_line(node.error if node else None) or run_failures.first_line(attempt.error)
    return Failure(node.name if node else None, line)


def _attempts(runs: list[UUID]) -> Any:
    """Return the newest archived attempt of each run. It is written by the retry, so its UUIDv7 is the time of that."""
    rows: Any = WorkflowExecutionAttempt.objects.filter(workflow_execution__in=runs).only("workflow_execution")
    rows = rows.annotate(error=formatting.first_characters("error_message", formatting.LINE))
    return rows.order_by("workflow_execution_id", "-number").distinct("workflow_execution_id")


def _failed_nodes(user: User, runs: list[UUID]) -> Any:
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
