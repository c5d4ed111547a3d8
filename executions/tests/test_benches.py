"""Output of the benchmarks of lists."""

import pytest

from benches import lists
from executions.models import NodeExecution
from workflows.models import Workflow


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("truncated")
def test_the_index_of_a_statement_is_named(workflow: Workflow) -> None:
    sql, params = NodeExecution.objects.filter(pk=workflow.pk).query.sql_with_params()
    assert lists.indexes(sql, params) == ["node_executions_pkey"]
