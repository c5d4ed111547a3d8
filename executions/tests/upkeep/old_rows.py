"""Runs and lines of long ago, and their removal."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone

from executions import partitions
from executions.models import WorkflowExecution
from executions.tests.factories import ExecutionLogFactory, WorkflowExecutionFactory, in_state
from executions.upkeep import run_retention
from ledgerkit.db.models import uuid7

ENDED = "UPDATE workflow_executions SET created_at = %s, started_at = %s, ended_at = %s WHERE id = %s"


def days_ago(days: float) -> datetime:
    return timezone.now() - timedelta(days=days)


def run_of(days: float, state: str = "completed", **fields: Any) -> WorkflowExecution:
    """Return a run that ended, or was created, so many days ago."""
    run = in_state(WorkflowExecutionFactory(**fields), state)
    moment = days_ago(days)
    ended = moment if run.ended_at else None
    with connection.cursor() as cursor:
        cursor.execute(ENDED, [moment, run.started_at and moment, ended, run.pk])
    run.refresh_from_db()
    return run


def id_at(moment: datetime) -> UUID:
    """Return a new id as it was made at that time."""
    return UUID(int=partitions.bound(moment).int | uuid7().int & ((1 << 80) - 1))


def line_of(days: float, run: WorkflowExecution, **fields: Any) -> Any:
    moment = days_ago(days)
    return ExecutionLogFactory(id=id_at(moment), workflow_execution=run, timestamp=moment, **fields)


def remove_runs() -> int:
    """Remove the runs that are over, as upkeep does, and return their number."""
    return run_retention.apply(lambda *_: None).rows
