"""Impossible rows cannot exist, in whatever way they are written: attacked with plain SQL."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.tests.factories import (
    ExecutionLogFactory,
    NodeExecutionAttemptFactory,
    NodeExecutionFactory,
    WorkflowExecutionAttemptFactory,
    WorkflowExecutionFactory,
    in_state,
)
from tokens.tests.factories import TokenFactory
from workflows.tests.factories import EdgeFactory, NodeFactory, WorkflowFactory

pytestmark = pytest.mark.django_db


def sql(statement: str, *parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def expect_violation(constraint: str, statement: str, *parameters: Any) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        sql(statement, *parameters)


EXECUTION = [
    ("status_known", "status = 'exploded'"),
    ("running_has_start", "status = 'running', started_at = NULL"),
    ("end_after_start", "started_at = now(), ended_at = now() - interval '1 second'"),
    *[("ended_has_end", f"status = '{s}', ended_at = NULL") for s in ("completed", "failed", "skipped", "cancelled")],
]


@pytest.mark.parametrize(("constraint", "change"), EXECUTION)
@pytest.mark.parametrize("factory", [WorkflowExecutionFactory, NodeExecutionFactory])
def test_a_state_without_its_times_cannot_be_written(factory: Any, constraint: str, change: str) -> None:
    row = factory()
    table, prefix = row._meta.db_table, row._meta.db_table.removesuffix("s")
    expect_violation(f"{prefix}_{constraint}", f"UPDATE {table} SET {change} WHERE id = %s", row.pk)


def test_other_values_that_mean_nothing_cannot_be_written() -> None:
    run, node = WorkflowExecutionFactory(), NodeExecutionFactory()
    expect_violation(
        "workflow_execution_trigger_known", "UPDATE workflow_executions SET trigger_type = 'moon' WHERE id = %s", run.pk
    )
    expect_violation(
        "node_execution_retry_count_from_zero", "UPDATE node_executions SET retry_count = -1 WHERE id = %s", node.pk
    )
    insert = "INSERT INTO execution_logs (workflow_execution_id, level, message) VALUES (%s, 'loud', '')"
    expect_violation("execution_log_level_known", insert, run.pk)
    expect_violation("node_type_known", "UPDATE nodes SET node_type = 'magic' WHERE id = %s", node.node_id)


def test_a_log_lines_node_belongs_to_its_run() -> None:
    run, foreign = WorkflowExecutionFactory(), NodeExecutionFactory()
    columns = "workflow_execution_id, node_execution_id, level, message"
    insert = f"INSERT INTO execution_logs ({columns}) VALUES (%s, %s, 'info', '')"
    expect_violation("execution_log_node_execution", insert, run.pk, foreign.pk)
    sql(insert, foreign.workflow_execution_id, foreign.pk)


def test_a_log_line_cannot_be_changed() -> None:
    line = ExecutionLogFactory()
    expect_violation(
        "A log line cannot be changed", "UPDATE execution_logs SET message = 'other' WHERE id = %s", line.pk
    )
    with pytest.raises(TypeError, match="add another line instead"):
        line.save()
    with pytest.raises(TypeError, match="add another line instead"):
        ExecutionLog.objects.update(message="other")


def test_two_running_runs_of_a_workflow_cannot_be_written() -> None:
    first = in_state(WorkflowExecutionFactory(), "running")
    second = WorkflowExecutionFactory(workflow=first.workflow)
    start = "UPDATE workflow_executions SET status = 'running', started_at = now(), metadata = %s::jsonb WHERE id = %s"
    for metadata in ("{}", '{"allow_concurrent": false}', '{"allow_concurrent": null}', '{"allow_concurrent": "true"}'):
        expect_violation("one_running_execution_per_workflow", start, metadata, second.pk)
    sql(start, '{"allow_concurrent": true}', second.pk)


def test_a_row_of_plain_sql_is_as_well_formed_as_one_of_the_orm() -> None:
    workflow = WorkflowFactory(chain=["a"])
    [(run_id,)] = sql(
        "INSERT INTO workflow_executions (workflow_id, trigger_type) VALUES (%s, 'event') RETURNING id", workflow.pk
    )
    run = WorkflowExecution.objects.get(pk=run_id)
    assert (run.id.version, str(run.status), run.input_data, run.context, run.metadata) == (7, "pending", {}, {}, {})
    assert (run.version, run.attempt, run.created_at == run.updated_at) == (1, 1, True)
    [(node_id,)] = sql(
        "INSERT INTO node_executions (workflow_execution_id, node_id, execution_order) VALUES (%s, %s, 0) RETURNING id",
        run_id, workflow.nodes.get().pk,
    )  # fmt: skip
    node = NodeExecution.objects.get(pk=node_id)
    assert (node.retry_count, node.input_data, node.output_data, str(node.status)) == (0, {}, None, "pending")
    [(line_id,)] = sql(
        "INSERT INTO execution_logs (workflow_execution_id, level, message) VALUES (%s, 'info', 'hi') RETURNING id",
        run_id,
    )
    assert abs((ExecutionLog.objects.get(pk=line_id).timestamp - run.created_at).total_seconds()) < 60
    run.start()
    node.start()
    node.complete()
    run.complete()


def test_ids_that_the_database_makes_are_in_order_with_those_made_in_python() -> None:
    before = WorkflowExecutionFactory()
    made = sql(
        "INSERT INTO workflow_executions (workflow_id, trigger_type) SELECT %s, 'event'"
        " FROM generate_series(1, 3), pg_sleep(0.002) RETURNING id",
        before.workflow_id,
    )
    assert [id.version for (id,) in made] == [7, 7, 7]
    assert all(id > before.id for (id,) in made)


def test_a_workflow_or_node_with_history_cannot_be_deleted_by_sql_either() -> None:
    node = NodeExecutionFactory()
    expect_violation("node_execution_node", "DELETE FROM nodes WHERE id = %s", node.node_id)
    expect_violation("workflow_execution_workflow", "DELETE FROM workflows WHERE id = %s", node.node.workflow_id)


def test_edges_are_those_of_a_dag_whoever_writes_them() -> None:
    workflow = WorkflowFactory(chain=["a", "b", "c"])
    a, b, c = workflow.nodes.order_by("name")
    foreign = NodeFactory()
    insert = "INSERT INTO edges (workflow_id, source_node_id, target_node_id, source_handle) VALUES (%s, %s, %s, %s)"
    expect_violation("edge_without_self_loop", insert, workflow.pk, a.pk, a.pk, None)
    expect_violation("edge_unique", insert, workflow.pk, a.pk, b.pk, None)
    expect_violation("edge_target_of_workflow", insert, workflow.pk, a.pk, foreign.pk, None)
    expect_violation("edge_source_of_workflow", insert, workflow.pk, foreign.pk, a.pk, None)
    expect_violation("form a cycle", insert, workflow.pk, c.pk, a.pk, None)
    sql(insert, workflow.pk, a.pk, b.pk, "other handle")


def test_turning_an_edge_round_into_a_circle_is_refused() -> None:
    workflow = WorkflowFactory(chain=["a", "b", "c"])
    a, _b, c = workflow.nodes.order_by("name")
    edge = EdgeFactory(workflow=workflow, source_node=a, target_node=c)
    expect_violation(
        "form a cycle", "UPDATE edges SET source_node_id = %s, target_node_id = %s WHERE id = %s", c.pk, a.pk, edge.pk
    )


def test_edges_that_are_a_circle_together_are_refused_in_one_statement_too() -> None:
    workflow = WorkflowFactory()
    a, b = NodeFactory(workflow=workflow), NodeFactory(workflow=workflow)
    insert = "INSERT INTO edges (workflow_id, source_node_id, target_node_id) VALUES (%s, %s, %s), (%s, %s, %s)"
    expect_violation("form a cycle", insert, workflow.pk, a.pk, b.pk, workflow.pk, b.pk, a.pk)


def test_a_token_has_no_scope_that_means_nothing() -> None:
    token = TokenFactory()
    expect_violation("token_scopes_known", "UPDATE tokens SET scopes = array['everything'] WHERE id = %s", token.pk)


@pytest.mark.parametrize("factory", [WorkflowExecutionAttemptFactory, NodeExecutionAttemptFactory])
def test_an_attempt_is_kept_once(factory: Any) -> None:
    kept = factory()
    table = kept._meta.db_table
    columns = f"number, status, {table.removesuffix('_attempts')}_id"
    copy = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE id = %s"
    expect_violation(f"{table.rstrip('s')}_number", copy, kept.pk)
