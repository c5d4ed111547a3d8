"""Rows that run or wait since long ago, and why they need attention."""

from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from executions import attention
from executions.models import NodeExecution, WorkflowExecution
from executions.tests.acceptance import fresh
from executions.tests.admin.monitor.front_page import ended_run
from executions.tests.factories import (
    ExecutionLogFactory,
    NodeExecutionFactory,
    WorkflowExecutionFactory,
    in_state,
)
from executions.tests.upkeep.old_rows import id_at
from workflows.models import Workflow
from workflows.tests.factories import NodeFactory, WorkflowFactory

HOURS_2 = 7_200  # seconds


def ago(seconds: float) -> Any:
    return timezone.now() - timedelta(seconds=seconds)


def running_for(seconds: float, **fields: Any) -> WorkflowExecution:
    """Return a run that started so long ago and has shown no sign of life since."""
    return age(in_state(WorkflowExecutionFactory(**fields), "running"), seconds)


def age(row: Any, seconds: float) -> Any:
    """Set the start of a running row, and of the history of its run, to so long ago."""
    type(row).objects.filter(pk=row.pk).update(started_at=ago(seconds))
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # without the trigger that refuses it
        change = "UPDATE execution_history SET happened_at = %s WHERE workflow_execution_id = %s"
        cursor.execute(change, [ago(seconds), row.run_id])
        cursor.execute("SET LOCAL session_replication_role = origin")
    return fresh(row)


def queued_for(seconds: float, workflow: Workflow, **fields: Any) -> WorkflowExecution:
    """Return a pending run that has been in the queue of the workflow for so long."""
    run: WorkflowExecution = WorkflowExecutionFactory(workflow=workflow, is_queued=True, **fields)
    WorkflowExecution.objects.filter(pk=run.pk).update(created_at=ago(seconds), updated_at=ago(seconds))
    return fresh(run)


def ended_ago(run: WorkflowExecution, started: float, ended: float) -> WorkflowExecution:
    """Set the times of a run that has ended to so many seconds ago."""
    WorkflowExecution.objects.filter(pk=run.pk).update(started_at=ago(started), ended_at=ago(ended))
    return fresh(run)


def node_in(run: WorkflowExecution, **of_node: Any) -> NodeExecution:
    node = NodeFactory(workflow=run.workflow, **of_node)
    return in_state(NodeExecutionFactory(workflow_execution=run, node=node), "running")


def line_of(run: WorkflowExecution, seconds: float, **fields: Any) -> None:
    ExecutionLogFactory(id=id_at(ago(seconds)), workflow_execution=run, timestamp=ago(seconds), **fields)


def questions(row: Any) -> list[str]:
    find = attention.findings_of_runs if isinstance(row, WorkflowExecution) else attention.findings_of_nodes
    return [each.question for each in find([row.pk]).get(row.pk, [])]


def restless_runs(workflow: Workflow) -> dict[str, WorkflowExecution]:
    """Return a run of the owner of `workflow` for each question, and a running one that needs no attention."""
    concurrent = {"allow_concurrent": True}
    for _ in range(20):
        ended_run("completed", timedelta(hours=1), workflow, 100)
    of_owner = WorkflowFactory(owner=workflow.owner)
    return {
        "overdue": running_for(90, workflow=workflow, metadata={"timeout_seconds": 60, **concurrent}),
        "unstarted": queued_for(HOURS_2, of_owner),
        "silent": running_for(HOURS_2, metadata=concurrent, workflow=of_owner),
        "late": running_for(600, workflow=workflow, metadata=concurrent),
        "none": running_for(30, workflow=workflow, metadata=concurrent),
    }
