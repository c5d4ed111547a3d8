"""Output of the benchmarks of lists."""

from django.db import connection, transaction

from benches import lists
from executions.models import NodeExecution
from workflows.models import Workflow


def test_the_index_of_a_statement_is_named(workflow: Workflow) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # which the planner prefers of an empty table
        _check_index(workflow)


def _check_index(workflow: Workflow) -> None:
    sql, params = NodeExecution.objects.filter(pk=workflow.pk).query.sql_with_params()
    assert lists.indexes(sql, params) == ["node_executions_pkey"]
