"""Rows that are written after their run was archived, and rows of a database that was dumped and restored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from executions import dropped_log_lines, partitions, run_notes
from executions.archive import ensure_archived, ensure_lines_archived
from executions.archive.row_format import OF_RUN
from executions.models import (
    ArchivedRun,
    ArchiveFile,
    HistoryEntry,
    NodeExecution,
    NodeExecutionLease,
    WorkflowExecution,
)
from executions.tests.archive.runs import rows_in
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.db.models import uuid7

pytestmark = pytest.mark.django_db(transaction=True)

FUTURE = 10**15  # a transaction that this cluster will not reach
LINE = """
INSERT INTO execution_logs (workflow_execution_id, level, message, written_by) VALUES (%s, 'info', 'dumped', %s)
"""
NODE = """
INSERT INTO node_executions (workflow_execution_id, node_id, execution_order, written_by)
SELECT %s, id, 7, %s FROM nodes LIMIT 1
"""


@pytest.fixture
def ended(workflow: Any) -> WorkflowExecution:
    return in_state(WorkflowExecutionFactory(workflow=workflow), "completed")


def newest_rows(archive: Path) -> list[dict[str, Any]]:
    return rows_in(archive, ArchivedRun.objects.get().file.name)


def insert_as_dumped(run: WorkflowExecution) -> None:
    with connection.cursor() as cursor:
        for statement in (LINE, NODE):
            cursor.execute(statement, [run.pk, str(FUTURE)])


def as_of_another_cluster() -> None:
    """Let the recorded files be of a cluster that had more transactions."""
    ArchiveFile.objects.update(cluster="1", snapshot=f"{FUTURE}:{FUTURE}:")


def test_rows_of_a_dump_are_archived_once(ended: Any, archive: Path) -> None:
    insert_as_dumped(ended)
    ensure_archived([ended.pk])
    rows = newest_rows(archive)
    assert [row["message"] for row in rows if row["kind"] == "log"] == ["dumped"]
    assert [row["execution_order"] for row in rows if row["kind"] == "node_execution"] == [7]
    ensure_archived([ended.pk])
    assert ArchiveFile.objects.count() == 1


def test_lines_of_a_dump_are_archived_once(ended: Any, archive: Path) -> None:
    insert_as_dumped(ended)
    partition = partitions.Partition.at(ended.created_at)
    (name,) = ensure_lines_archived(partition)
    assert [row["message"] for row in rows_in(archive, name)] == ["dumped"]
    assert ensure_lines_archived(partition) == [name]


def test_a_line_that_comes_after_the_database_was_dumped_and_restored_is_archived(ended: Any, archive: Path) -> None:
    partition = partitions.Partition.at(ended.created_at)
    ExecutionLogFactory(workflow_execution=ended, message="first")
    ensure_archived([ended.pk])
    ensure_lines_archived(partition)
    as_of_another_cluster()
    ExecutionLogFactory(workflow_execution=ended, message="late")
    ensure_archived([ended.pk])
    assert "late" in [row.get("message") for row in newest_rows(archive)]
    names = ensure_lines_archived(partition)
    assert "late" in [row["message"] for name in names for row in rows_in(archive, name)]


def test_a_node_that_is_added_or_changed_late_is_archived(ended: Any, archive: Path) -> None:
    ensure_archived([ended.pk])
    node = NodeExecutionFactory(workflow_execution=WorkflowExecutionFactory(workflow=ended.workflow))
    NodeExecution.objects.filter(pk=node.pk).update(workflow_execution=ended)
    ensure_archived([ended.pk])
    assert str(node.pk) in [row.get("id") for row in newest_rows(archive)]
    with connection.cursor() as cursor:
        cursor.execute("""UPDATE node_executions SET version = version + 1, input_data = '{"late": 1}'""")
    ensure_archived([ended.pk])
    assert {"late": 1} in [row.get("input_data") for row in newest_rows(archive)]


def retry(run: WorkflowExecution) -> None:
    run.retry()
    run.start(worker="late")
    run.fail("again")


def add_history(run: WorkflowExecution) -> None:
    entry = HistoryEntry.objects.filter(workflow_execution=run).latest("happened_at")
    entry.pk = uuid7()
    entry.save(force_insert=True)


def drop_lines(run: WorkflowExecution) -> None:
    dropped_log_lines.count_dropped([dropped_log_lines.DroppedLine(run.pk, "w", "warning", None)])


LATE: dict[str, Callable[[WorkflowExecution], object]] = {
    "run": retry,
    "node_execution": lambda run: NodeExecutionFactory(
        workflow_execution=run, node=run.node_executions.get().node, execution_order=7
    ),
    "attempt": retry,
    "node_attempt": retry,
    "lease": retry,
    "node_lease": lambda _run: NodeExecutionLease.objects.update(heartbeat_at=timezone.now()),
    "history": add_history,
    "dropped_lines": drop_lines,
    "note": lambda run: run_notes.write(run.pk, "late"),
    "log": lambda run: ExecutionLogFactory(workflow_execution=run, message="late"),
}


@pytest.fixture
def failed(workflow: Any) -> WorkflowExecution:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    node = run.add_node(workflow.nodes.order_by("name")[0])
    node.start(worker="w", lease_seconds=60)
    node.fail("once")
    run.fail("once")
    drop_lines(run)
    return run


@pytest.mark.parametrize("kind", [kind.name for kind in OF_RUN])
def test_a_late_row_of_each_kind_is_archived_once(kind: str, failed: Any, archive: Path) -> None:
    ensure_archived([failed.pk])
    before = [row for row in newest_rows(archive) if row["kind"] == kind]
    LATE[kind](failed)
    ensure_archived([failed.pk])
    assert [row for row in newest_rows(archive) if row["kind"] == kind] != before
    ensure_archived([failed.pk])
    assert ArchiveFile.objects.count() == 2


def test_a_number_of_dropped_lines_may_be_large(failed: Any, archive: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE execution_dropped_lines SET number = 9000000000000000000")
    ensure_archived([failed.pk])
    drop_lines(failed)
    ensure_archived([failed.pk])
    assert ArchiveFile.objects.count() == 2
