"""Statements whose plans the database keeps."""

from uuid import UUID

import pytest
from django.db import connection
from rest_framework.test import APIClient

from executions.models import WorkflowExecution
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory
from local_postgres.base import PreparingCursor
from pastetrader.settings import PREPARED_AFTER
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

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
    runs = WorkflowExecutionFactory.create_batch(PREPARED_AFTER + 2, workflow=WorkflowFactory(chain=["a", "b", "c"]))
    client = APIClient()
    client.force_login(runs[0].workflow.owner)
    for size, run in enumerate(runs, 1):
        for node in run.workflow.nodes.all():
            NodeExecutionFactory(workflow_execution=run, node=node)
            ExecutionLogFactory.create_batch(2, workflow_execution=run)
        for name, rows in (("nodes", 3), ("logs", 6)):
            found = client.get(f"/api/v1/executions/{run.pk}/{name}/?page_size={size}").json()
            assert len(found["results"]) == min(size, rows)
            assert found["next"] is None or client.get(found["next"]).json()["results"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        kept = [statement for (statement,) in cursor.fetchall() if "ORDER BY" in statement and "LIMIT" in statement]
    assert len([text for text in kept if 'FROM "execution_logs"' in text]) == 2  # the first page, and those after it
    # The index of the order of the nodes lacks the id: after a cursor PostgreSQL might sort all of them.
    (of_nodes,) = [text for text in kept if 'FROM "node_executions"' in text]
    assert '"execution_order" >' not in of_nodes
