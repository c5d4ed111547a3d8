"""Statements whose plans the database keeps."""

from uuid import UUID, uuid4

import pytest
from django.db import connection

from executions.api.list_querysets import lines_of_run, nodes_of_run
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from ledgerkit.db import bounded_rows
from ledgerkit.db.bounded_rows import RowsUnder
from local_postgres.base import PreparingCursor
from pastetrader.settings import PREPARED_AFTER
from workflows.models import Workflow

NONE = UUID(int=0)


@pytest.mark.django_db
def test_lookups_and_writes_are_planned_once_and_lists_for_their_values() -> None:
    connection.ensure_connection()
    if connection.connection.cursor_factory is not PreparingCursor:
        pytest.skip("DATABASE_PREPARE is 0")
    for _ in range(PREPARED_AFTER + 2):
        WorkflowExecution.objects.filter(pk=NONE, status="failed").update(version=1)
        assert not WorkflowExecution.objects.filter(pk=NONE).exists()
        assert not Workflow.objects.filter(pk=NONE, name="x").count()
        assert not list(WorkflowExecution.objects.filter(status="failed", pk=NONE).order_by("created_at")[:50])
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        kept = [statement for (statement,) in cursor.fetchall()]
    assert [text for text in kept if text.startswith('UPDATE "workflow_executions"')]
    assert [text for text in kept if text.startswith("SELECT") and '"workflow_executions"."id" = $' in text]
    assert not [text for text in kept if "ORDER BY" in text and "LIMIT" in text]
    assert not [text for text in kept if "COUNT(" in text]


@pytest.mark.django_db
def test_the_lists_of_a_run_are_planned_once_for_all_runs_and_page_sizes() -> None:
    connection.ensure_connection()
    if connection.connection.cursor_factory is not PreparingCursor:
        pytest.skip("DATABASE_PREPARE is 0")
    for size in range(1, PREPARED_AFTER + 3):
        lines = RowsUnder(ExecutionLog, lines_of_run, uuid4(), is_indexed=True).first_of(("timestamp", "id"), size)
        nodes = RowsUnder(NodeExecution, nodes_of_run, uuid4()).first_of(("execution_order", "id"), size)
        assert [bounded_rows.read(rows)[0].rows for rows in (lines, nodes)] == [[], []]
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        kept = [statement for (statement,) in cursor.fetchall() if "ORDER BY" in statement]
    for table in ("execution_logs", "node_executions"):
        assert len([text for text in kept if f'FROM "{table}"' in text]) == 1
