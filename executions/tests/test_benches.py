"""Output of the benchmarks of lists."""

from typing import Any

from django.db import connection, transaction

from benches import lists, other_ledgers
from executions.models import NodeExecution
from workflows.models import Workflow


def test_the_index_of_a_statement_is_named(workflow: Workflow) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # which the planner prefers of an empty table
        _check_index(workflow)


def _check_index(workflow: Workflow) -> None:
    sql, params = NodeExecution.objects.filter(pk=workflow.pk).query.sql_with_params()
    assert lists.indexes(sql, params) == ["node_executions_pkey"]


def test_the_table_of_other_ledgers_has_a_column_for_each_workload_that_was_measured() -> None:
    def row(key: str, workload: str, rate: float, **kinds: float) -> dict[str, Any]:
        ms = {kind: {"p50": value} for kind, value in kinds.items()}
        return {"key": key, "workload": workload, "clients": 8, "rate": rate, "ms": ms}

    rows = [
        row("rest_api:BatchApi", "W", 200, record_run=4.0), row("events:Events", "W", 100, record_run=8.0),
        row("events:ManyRuns", "W", 5, record_run=9.0), row("events:Events", "list_nodes", 90, list_nodes=2.5),
    ]  # fmt: skip
    table = other_ledgers.report(["rest_api:BatchApi", "events:Events", "events:ManyRuns"], rows).splitlines()
    assert table[2:] == [
        "| target | runs/s, each in one call | runs/s, 50 in a call | ten nodes of a run, p50 in ms |",
        "|---|---|---|---|",
        "| bare HTTP and psycopg, one call | – / 200 (1.00) | – / – | – / – |",
        "| this ledger, `POST events/` | – / 100 (0.50) | – / – | – / 2.5 |",
        "| this ledger, `POST events/` | – / – | – / 250 | – / – |",
    ]
