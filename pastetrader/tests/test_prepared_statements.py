"""Statements whose plans the database keeps."""

from uuid import UUID

import pytest
from django.db import connection

from executions.models import WorkflowExecution
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
