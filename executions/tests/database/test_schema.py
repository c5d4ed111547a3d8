"""Names of the contract, held against the database's own catalogue, and plans of the hot queries."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from executions import partitions
from executions.models import ExecutionLog, WorkflowExecution
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.db.models import uuid7

INDEXES = {
    "workflow_executions": {
        "idx_workflow_executions_workflow": "(workflow_id, created_at DESC, id DESC)",
        "idx_workflow_executions_status": "(status)",
        "idx_workflow_executions_workflow_status": "(workflow_id, status)",
        "idx_workflow_executions_created": "(created_at DESC, id DESC)",
        "idx_workflow_executions_trigger": "(trigger_type, status)",
        "idx_workflow_executions_metadata": "USING gin",
        "idx_workflow_executions_context": "USING gin",
    },
    "node_executions": {
        "idx_node_executions_workflow_execution": "(workflow_execution_id)",
        "idx_node_executions_node": "(node_id, created_at DESC, id DESC)",
        "idx_node_executions_status": "(status)",
        "idx_node_executions_order": "(workflow_execution_id, execution_order)",
    },
    "execution_logs": {
        "idx_execution_logs_workflow_execution": '(workflow_execution_id, "timestamp", id)',
        "idx_execution_logs_node_execution": "(node_execution_id) WHERE (node_execution_id IS NOT NULL)",
        "idx_execution_logs_timestamp": '("timestamp" DESC)',
        "idx_execution_logs_level": '(level, "timestamp" DESC)',
    },
}


def rows(statement: str, *parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


@pytest.mark.django_db
@pytest.mark.parametrize("table", INDEXES)
def test_indexes_have_the_names_and_columns_of_the_contract(table: str) -> None:
    found = dict(rows("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s", table))
    for name, definition in INDEXES[table].items():
        assert definition in found[name]


@pytest.mark.django_db
def test_children_go_by_the_databases_own_cascade_and_history_holds_definitions() -> None:
    actions = rows(
        "SELECT conrelid::regclass::text, confrelid::regclass::text, confdeltype FROM pg_constraint"
        " WHERE contype = 'f'"
        " AND conrelid::regclass::text IN ('workflow_executions', 'node_executions', 'execution_logs')"
    )
    assert sorted((child, parent, str(action)) for child, parent, action in actions) == [
        ("execution_logs", "node_executions", "c"),
        ("execution_logs", "workflow_executions", "c"),
        ("node_executions", "nodes", "r"),
        ("node_executions", "workflow_executions", "c"),
        ("workflow_executions", "graphs", "r"),
        ("workflow_executions", "workflows", "r"),
    ]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_migrations_go_back_and_forth_on_a_database_with_rows() -> None:
    node = in_state(NodeExecutionFactory(), "failed")
    node.retry()
    ExecutionLogFactory(workflow_execution=node.workflow_execution, node_execution=node)
    try:
        call_command("migrate", "alerts", "zero", verbosity=0, interactive=False)
        call_command("migrate", "executions", "zero", verbosity=0, interactive=False)
        assert rows("SELECT count(*) FROM pg_class WHERE relname LIKE 'execution_logs%%'") == [(0,)]
        call_command("migrate", "tokens", "zero", verbosity=0, interactive=False)
        call_command("migrate", "workflows", "zero", verbosity=0, interactive=False)
        assert rows("SELECT count(*) FROM pg_proc WHERE proname IN ('ledger_uuid7', 'edges_acyclic')") == [(0,)]
    finally:
        call_command("migrate", verbosity=0, interactive=False)
    node = in_state(NodeExecutionFactory(), "completed")
    ExecutionLogFactory(workflow_execution=node.workflow_execution, node_execution=node)


@pytest.mark.django_db
def test_models_and_migrations_agree() -> None:
    call_command("makemigrations", check=True, dry_run=True, stdout=StringIO())


@pytest.mark.django_db
@pytest.mark.usefixtures("truncated")
def test_the_newest_lines_of_a_run_come_from_its_index_in_their_order() -> None:
    with connection.cursor() as cursor:  # the tables of a test are too small for a planner to bother
        cursor.execute(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off"
        )
    plan = WorkflowExecutionFactory().logs.order_by("-timestamp", "-id")[:200].explain()
    assert plan.count("workflow_execution_id_timesta") == len(partitions.existing())
    assert "Sort  " not in plan  # merged in order, not sorted


def chosen(question: Any) -> str:
    with connection.cursor() as cursor:  # the tables of a test are too small for a planner to bother
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
    return " ".join(question.explain().split())


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("question", "index"),
    [
        (lambda runs: runs.order_by("-created_at", "-id")[:50], "idx_workflow_executions_created"),
        (lambda runs: runs.filter(metadata__contains={"tags": ["x"]}).order_by(), "idx_workflow_executions_metadata"),
        (lambda runs: runs.filter(context__contains={"a": 1}).order_by(), "idx_workflow_executions_context"),
    ],
)
def test_a_hot_question_on_runs_is_answered_by_its_index(question: Any, index: str) -> None:
    plan = chosen(question(WorkflowExecution.objects))
    assert f"using {index} on" in plan or f"Bitmap Index Scan on {index} " in plan


@pytest.mark.django_db
def test_the_lines_of_a_node_are_found_by_the_partial_index_of_each_partition() -> None:
    plan = chosen(ExecutionLog.objects.filter(node_execution=uuid7()).order_by())
    assert plan.count("node_execution_id_idx") == len(partitions.existing())


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["workflow", "workflow_status", "status", "trigger"])
def test_each_index_on_runs_answers_its_columns(name: str) -> None:
    """Alone: which of several that fit is chosen is the planner's affair."""
    columns = {
        "workflow": {"workflow": uuid7()},
        "workflow_status": {"workflow": uuid7(), "status": "failed"},
        "status": {"status": "failed"},
        "trigger": {"trigger_type": "event", "status": "failed"},
    }
    index = f"idx_workflow_executions_{name}"
    others = rows("SELECT indexname FROM pg_indexes WHERE tablename = 'workflow_executions'")
    with connection.cursor() as cursor:
        for (other,) in others:
            if other != index and other.startswith("idx_"):
                cursor.execute(f"DROP INDEX {other}")
    assert index in chosen(WorkflowExecution.objects.filter(**columns[name]).order_by())
