"""Schema of the contract: names, indexes, cascades, column types, and rows that the database refuses."""

import json
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError

from executions.models import ExecutionLog, LogLevel
from executions.tests.acceptance import (
    fresh,
    insert,
    new_node_execution,
    new_run,
    node_execution_in,
    run_in,
    sql,
    statuses,
    uuid7,
)

pytestmark = pytest.mark.django_db

TABLES = ["edges", "execution_logs", "node_executions", "nodes", "workflow_executions", "workflows"]
JSON_COLUMNS = [
    ("workflow_executions", "input_data"),
    ("workflow_executions", "output_data"),
    ("workflow_executions", "context"),
    ("workflow_executions", "metadata"),
    ("node_executions", "input_data"),
    ("node_executions", "output_data"),
    ("execution_logs", "data"),
    ("workflows", "config"),
    ("workflows", "variables"),
    ("nodes", "config"),
    ("nodes", "retry_config"),
]
INDEXES = [
    ("workflow_executions", "idx_workflow_executions_workflow", "workflow_id"),
    ("workflow_executions", "idx_workflow_executions_status", "status"),
    ("workflow_executions", "idx_workflow_executions_workflow_status", "workflow_id, status"),
    ("workflow_executions", "idx_workflow_executions_created", "created_at DESC"),
    ("workflow_executions", "idx_workflow_executions_trigger", "trigger_type, status"),
    ("node_executions", "idx_node_executions_workflow_execution", "workflow_execution_id"),
    ("node_executions", "idx_node_executions_node", "node_id"),
    ("node_executions", "idx_node_executions_status", "status"),
    ("node_executions", "idx_node_executions_order", "workflow_execution_id, execution_order"),
    ("execution_logs", "idx_execution_logs_workflow_execution", "workflow_execution_id"),
    ("execution_logs", "idx_execution_logs_node_execution", "node_execution_id"),
    ("execution_logs", "idx_execution_logs_timestamp", '"timestamp" DESC'),
    ("execution_logs", "idx_execution_logs_level", 'level, "timestamp" DESC'),
]
ENDED = ["completed", "failed", "skipped", "cancelled"]


def index(table: str, name: str) -> str:
    [(definition,)] = sql("SELECT indexdef FROM pg_indexes WHERE tablename = %s AND indexname = %s", table, name)
    return str(definition)


def run_columns() -> dict[str, Any]:
    return {"id": uuid7(), "workflow_id": new_run().workflow_id, "trigger_type": "manual"}


def node_columns() -> dict[str, Any]:
    row = new_node_execution(new_run())
    other = new_run(row.workflow_execution.workflow)
    return {"id": uuid7(), "workflow_execution_id": other.id, "node_id": row.node_id, "execution_order": 0}


COLUMNS = {"workflow_executions": run_columns, "node_executions": node_columns}


# --- names -------------------------------------------------------------------
@pytest.mark.parametrize("table", TABLES)
def test_the_tables_bear_the_names_of_the_contract(table: str) -> None:
    assert sql("SELECT count(*) FROM pg_class WHERE relname = %s AND relkind IN ('r', 'p')", table) == [(1,)]


@pytest.mark.parametrize(("table", "name", "columns"), INDEXES)
def test_an_index_bears_its_name_and_leads_with_its_columns(table: str, name: str, columns: str) -> None:
    assert f" USING btree ({columns}" in index(table, name)


def test_the_index_on_the_node_of_a_line_leaves_out_lines_without_one() -> None:
    definition = index("execution_logs", "idx_execution_logs_node_execution")
    assert "WHERE (node_execution_id IS NOT NULL)" in definition


@pytest.mark.parametrize("column", ["metadata", "context"])
def test_json_that_is_searched_has_a_gin_index(column: str) -> None:
    definitions = sql("SELECT indexdef FROM pg_indexes WHERE tablename = 'workflow_executions'")
    assert any(f"USING gin ({column}" in definition for (definition,) in definitions)


@pytest.mark.parametrize(("table", "column"), JSON_COLUMNS)
def test_json_is_stored_as_jsonb(table: str, column: str) -> None:
    question = "SELECT data_type FROM information_schema.columns WHERE table_name = %s AND column_name = %s"
    assert sql(question, table, column) == [("jsonb",)]


def test_no_time_is_stored_without_its_zone() -> None:
    question = """SELECT table_name, column_name FROM information_schema.columns
                  WHERE table_name = ANY(%s) AND data_type = 'timestamp without time zone'"""
    assert sql(question, TABLES) == []


@pytest.mark.parametrize("table", TABLES)
def test_every_id_is_a_uuid_and_the_primary_key(table: str) -> None:
    question = """SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_constraint c
                  JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY(c.conkey)
                  WHERE c.contype = 'p' AND c.conrelid = %s::regclass"""
    assert sql(question, table) == [("id", "uuid")]


# --- cascades ----------------------------------------------------------------
@pytest.mark.parametrize(
    ("table", "column", "action"),
    [
        ("node_executions", "workflow_execution_id", {"c"}),
        ("execution_logs", "workflow_execution_id", {"c"}),
        ("execution_logs", "node_execution_id", {"c"}),
        ("nodes", "workflow_id", {"c"}),
        ("edges", "workflow_id", {"c"}),
        ("edges", "source_node_id", {"c"}),
        ("edges", "target_node_id", {"c"}),
        ("workflow_executions", "workflow_id", {"a", "r"}),
        ("node_executions", "node_id", {"a", "r"}),
    ],
)
def test_the_database_itself_cascades_or_refuses(table: str, column: str, action: set[str]) -> None:
    question = """SELECT DISTINCT c.confdeltype::text FROM pg_constraint c
                  JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY(c.conkey)
                  WHERE c.contype = 'f' AND c.conrelid = %s::regclass AND a.attname = %s"""
    found = {row[0] for row in sql(question, table, column)}
    assert found
    assert found <= action


# --- impossible rows ---------------------------------------------------------
@pytest.mark.parametrize("table", COLUMNS)
@pytest.mark.parametrize("status", ["RUNNING", "done", "", None])
def test_a_row_of_an_unknown_status_cannot_exist(table: str, status: str | None) -> None:
    columns = COLUMNS[table]()
    with pytest.raises(IntegrityError):
        insert(table, **columns, status=status, started_at="2026-01-12Z", ended_at="2026-01-12Z")


@pytest.mark.parametrize("table", COLUMNS)
def test_a_running_row_without_a_start_cannot_exist(table: str) -> None:
    columns = COLUMNS[table]()
    with pytest.raises(IntegrityError):
        insert(table, **columns, status="running")


@pytest.mark.parametrize("table", COLUMNS)
@pytest.mark.parametrize("status", ENDED)
def test_an_ended_row_without_an_end_cannot_exist(table: str, status: str) -> None:
    columns = COLUMNS[table]()
    with pytest.raises(IntegrityError):
        insert(table, **columns, status=status, started_at="2026-01-12Z")


@pytest.mark.parametrize("table", COLUMNS)
@pytest.mark.parametrize("status", ENDED)
def test_a_row_that_ended_before_it_started_cannot_exist(table: str, status: str) -> None:
    columns = COLUMNS[table]()
    times = {"started_at": "2026-01-12 12:00:00Z", "ended_at": "2026-01-12 11:59:59.999999Z"}
    with pytest.raises(IntegrityError):
        insert(table, **columns, status=status, **times)


@pytest.mark.parametrize("table", COLUMNS)
@pytest.mark.parametrize("status", ENDED)
def test_a_row_that_ended_the_moment_it_started_may_exist(table: str, status: str) -> None:
    columns = COLUMNS[table]()
    insert(table, **columns, status=status, started_at="2026-01-12Z", ended_at="2026-01-12Z")
    assert sql(f"SELECT status FROM {table} WHERE id = %s", columns["id"]) == [(status,)]


@pytest.mark.parametrize(
    "change",
    [
        "status = 'nonsense'",
        "status = 'completed'",
        "started_at = NULL",
        "status = 'failed', ended_at = started_at - interval '1 second'",
    ],
)
def test_no_update_makes_a_running_row_impossible(change: str) -> None:
    row = node_execution_in("running")
    for table, key in (("node_executions", row.id), ("workflow_executions", row.workflow_execution_id)):
        with pytest.raises(IntegrityError):
            sql(f"UPDATE {table} SET {change} WHERE id = %s", key)


@pytest.mark.parametrize("count", [-1, None])
def test_a_retry_count_below_zero_cannot_exist(count: int | None) -> None:
    columns = node_columns()
    with pytest.raises(IntegrityError):
        insert("node_executions", **columns, retry_count=count)


@pytest.mark.parametrize("trigger", ["cron", "MANUAL", "", None])
def test_a_run_with_an_unknown_trigger_cannot_exist(trigger: str | None) -> None:
    columns = run_columns() | {"trigger_type": trigger}
    with pytest.raises(IntegrityError):
        insert("workflow_executions", **columns)


@pytest.mark.parametrize("level", ["critical", "INFO", "", None])
def test_a_line_with_an_unknown_level_cannot_exist(level: str | None) -> None:
    run = new_run()
    with pytest.raises(IntegrityError):
        insert("execution_logs", id=uuid7(), workflow_execution_id=run.id, level=level, message="x")


def test_a_line_whose_node_belongs_to_another_run_cannot_exist() -> None:
    row = new_node_execution(new_run())
    other = new_run(row.workflow_execution.workflow)
    columns = {"workflow_execution_id": other.id, "node_execution_id": row.id, "level": "info", "message": "x"}
    with pytest.raises(IntegrityError):
        insert("execution_logs", id=uuid7(), **columns)
    assert not ExecutionLog.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_orm_refuses_a_line_whose_node_belongs_to_another_run() -> None:
    row = new_node_execution(new_run())
    other = new_run(row.workflow_execution.workflow)
    with pytest.raises((ValueError, DatabaseError)):
        ExecutionLog.objects.create(workflow_execution=other, node_execution=row, level=LogLevel.INFO, message="x")
    assert not ExecutionLog.objects.exists()


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("workflow_executions", "input_data"),
        ("workflow_executions", "context"),
        ("workflow_executions", "metadata"),
        ("node_executions", "input_data"),
    ],
)
def test_json_with_an_empty_default_is_never_null(table: str, column: str) -> None:
    columns = COLUMNS[table]()
    with pytest.raises(IntegrityError):
        insert(table, **columns, **{column: None})


# --- one running run per workflow --------------------------------------------
@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"allow_concurrent": False},
        {"allow_concurrent": None},
        {"allow_concurrent": "true"},
        {"allow_concurrent": 1},
        {"allow_concurrent": [True]},
        {"priority": "high"},
    ],
)
def test_no_row_escapes_the_rule_of_one_running_run(metadata: dict[str, object]) -> None:
    running = run_in("running")
    columns = {"workflow_id": running.workflow_id, "trigger_type": "manual", "metadata": json.dumps(metadata)}
    with pytest.raises(IntegrityError):
        insert("workflow_executions", id=uuid7(), **columns, status="running", started_at="2026-01-12Z")


def test_the_first_running_run_does_not_escape_the_rule_either() -> None:
    columns = run_columns()
    running = {"status": "running", "started_at": "2026-01-12Z"}
    insert("workflow_executions", **columns, **running)
    with pytest.raises(IntegrityError):
        insert("workflow_executions", **columns | {"id": uuid7()}, **running)


def test_a_run_that_allows_concurrent_runs_may_run_beside_another() -> None:
    running = run_in("running")
    columns = {"workflow_id": running.workflow_id, "trigger_type": "manual"}
    insert(
        "workflow_executions",
        id=uuid7(),
        **columns,
        status="running",
        started_at="2026-01-12Z",
        metadata='{"allow_concurrent": true}',
    )
    assert sql("SELECT count(*) FROM workflow_executions WHERE status = 'running'") == [(2,)]


def test_the_rule_of_one_running_run_is_a_partial_unique_index() -> None:
    definitions = sql("SELECT indexdef FROM pg_indexes WHERE tablename = 'workflow_executions'")
    assert any(d.startswith("CREATE UNIQUE INDEX") and "running" in d and "(workflow_id)" in d for (d,) in definitions)


def test_a_refused_start_leaves_the_transaction_around_it_usable() -> None:
    running = run_in("running")
    second = new_run(running.workflow)
    with pytest.raises(ValueError, match=r".+"):
        second.start()
    new_node_execution(running)
    assert (fresh(second).status, statuses(running)) == ("pending", {"load": "pending"})
