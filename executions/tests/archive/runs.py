"""Runs of every kind for the tests of the archive, and what the API answers about them."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connection

from executions import run_notes
from executions.archive import files, folders
from executions.models import ErrorCode, ExecutionLog, WorkflowExecution
from executions.tests.factories import in_state
from workflows.models import Workflow

SECRET = "hunter2-and-more"
EARLIER = datetime(2026, 5, 1, 10, tzinfo=UTC)


def make_runs(workflow: Workflow) -> list[WorkflowExecution]:
    """Return ended runs: failed, retried, cancelled, with the times of an engine, with documents of every shape."""
    return [_failed(workflow), _retried(workflow), _cancelled(workflow), _timed(workflow), _masked(workflow)]


def _new(workflow: Workflow, **fields: Any) -> WorkflowExecution:
    return WorkflowExecution.objects.create(
        workflow=workflow, trigger_type="schedule", metadata={"allow_concurrent": True}, **fields
    )


def _failed(workflow: Workflow) -> WorkflowExecution:
    run = in_state(_new(workflow, input_data={"한국": "\u2028 ü \\ \" '", "n": 1.10, "big": 2**70}), "running")
    node = in_state(run.add_node(workflow.nodes.order_by("name")[0]), "running")
    node.fail("went\nwrong", "Traceback ...")
    run.fail(ValueError("x" * 100_000))
    run_notes.write(run.pk, "the vendor\nwas late")
    run_notes.edit(run.pk, 1, "the vendor was early")
    ExecutionLog.objects.create(workflow_execution=run, level="error", message="late\tline", data=[None, {"a": []}])
    return run


def _retried(workflow: Workflow) -> WorkflowExecution:
    run = in_state(_new(workflow), "running")
    node = in_state(run.add_node(workflow.nodes.order_by("name")[1], input_data={"a": None}), "running")
    node.fail("once")
    node.retry()
    node.start(worker="worker-3", lease_seconds=60)
    node.complete({"done": [1, 2.5]})
    run.fail_overdue(ErrorCode.TIMED_OUT, "again")
    run.retry()
    run.start(worker="worker-3")
    run.complete({"rows": 3})
    lines = (
        ExecutionLog(workflow_execution=run, node_execution=node, level="info", message=f"{n}", source="w", seq=n)
        for n in range(1, 30)
    )
    ExecutionLog.objects.bulk_create(lines)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO execution_dropped_lines (workflow_execution_id, source, level, number, seqs)"
            " VALUES (%s, 'w', 'info', 3, '{[30,33)}')",
            [run.pk],
        )
    return run


def _cancelled(workflow: Workflow) -> WorkflowExecution:
    run = _new(workflow)
    run.add_node(workflow.nodes.order_by("name")[2])
    run.cancel()
    with connection.cursor() as cursor:  # the value null of JSON, which no NULL is
        cursor.execute("UPDATE workflow_executions SET output_data = 'null' WHERE id = %s", [run.pk])
        cursor.execute("""UPDATE workflow_executions SET context = '{"x": 1.50}' WHERE id = %s""", [run.pk])
    return run


def _timed(workflow: Workflow) -> WorkflowExecution:
    run = _new(workflow, created_at=EARLIER)
    run.start(at=EARLIER + timedelta(seconds=1))
    run.complete(at=EARLIER + timedelta(seconds=2, microseconds=7))
    return run


def _masked(workflow: Workflow) -> WorkflowExecution:
    run = in_state(_new(workflow, context={"secrets": {"db": SECRET}}), "running")
    ExecutionLog.objects.create(workflow_execution=run, level="info", message=f"connects with {SECRET}")
    run.fail(f"refused {SECRET}")
    return run


def addresses(run: WorkflowExecution) -> Iterator[str]:
    of_run = f"/api/v1/executions/{run.pk}/"
    yield from (of_run, f"{of_run}?expand=nodes,logs")
    yield from (f"{of_run}{part}/" for part in ("nodes", "logs", "history", "attempts", "graph", "logs/gaps", "notes"))
    for attempt in run.attempts.all():
        yield f"{of_run}attempts/{attempt.number}/"
    for node in run.node_executions.all():
        yield from (f"/api/v1/node-executions/{node.pk}/", f"/api/v1/node-executions/{node.pk}/attempts/")
        yield from (f"/api/v1/node-executions/{node.pk}/attempts/{each.number}/" for each in node.attempts.all())


def answers(client: Any, paths: Iterable[str]) -> dict[str, tuple[int, bytes]]:
    return {path: ((response := client.get(path)).status_code, response.content) for path in paths}


def rows_in(path: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in files.lines(folders.LocalFolder(path), name)]


def ids(runs: Iterable[WorkflowExecution]) -> list[UUID]:
    return [run.pk for run in runs]
