from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from executions.exceptions import HasHistory
from executions.models import ExecutionLog, NodeExecution, NodeExecutionAttempt, WorkflowExecution
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from workflows.models import Edge, Node, Workflow
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db

LINES = """
    INSERT INTO execution_logs (workflow_execution_id, node_execution_id, level, message)
    SELECT %s, %s, 'info', 'line ' || n FROM generate_series(1, %s) AS n
"""


def write_lines(node: NodeExecution, count: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(LINES, [node.workflow_execution_id, node.pk, count])


@pytest.mark.slow
def test_deleting_a_run_of_100_000_lines_is_one_statement_and_loads_none(django_assert_num_queries: Any) -> None:
    node, other = NodeExecutionFactory(), ExecutionLogFactory()
    write_lines(node, 100_000)
    with django_assert_num_queries(1) as captured:
        node.workflow_execution.delete()
    assert 'DELETE FROM "workflow_executions"' in captured[0]["sql"]
    assert list(ExecutionLog.objects.all()) == [other]


def test_deleting_runs_through_a_queryset_is_one_statement(django_assert_num_queries: Any) -> None:
    for _ in range(3):
        write_lines(in_state(NodeExecutionFactory(), "running"), 10)
    with django_assert_num_queries(1):
        WorkflowExecution.objects.all().delete()
    assert not ExecutionLog.objects.exists()
    assert not NodeExecution.objects.exists()


def test_deleting_a_node_execution_takes_its_lines_and_attempts() -> None:
    node = in_state(NodeExecutionFactory(), "failed")
    node.retry()
    of_run = ExecutionLogFactory(workflow_execution=node.workflow_execution)
    write_lines(node, 5)
    node.delete()
    assert list(ExecutionLog.objects.all()) == [of_run]
    assert not NodeExecutionAttempt.objects.exists()


@pytest.mark.parametrize("delete", [lambda row: row.delete(), lambda row: type(row).objects.filter(pk=row.pk).delete()])
def test_what_has_been_executed_is_not_deleted_and_the_refusal_is_a_sentence(delete: Any) -> None:
    node = NodeExecutionFactory().node
    for row in (node, node.workflow):
        with pytest.raises(HasHistory, match="has been executed and its history is kept"):
            delete(row)
    assert Workflow.objects.count() == Node.objects.count() == WorkflowExecution.objects.count() == 1


def test_what_has_not_been_executed_is_deleted_with_its_graph() -> None:
    workflow = WorkflowFactory(chain=["a", "b"])
    workflow.nodes.get(name="a").delete()
    assert not Edge.objects.exists()
    workflow.delete()
    assert not Node.objects.exists()


def test_removing_a_user_never_removes_history() -> None:
    run = WorkflowExecutionFactory()
    get_user_model().objects.all().delete()
    assert WorkflowExecution.objects.get() == run
    assert WorkflowExecution.objects.get().workflow.owner is None
