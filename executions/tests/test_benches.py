"""Output of the benchmarks of lists."""

from typing import Any

import pytest
from django.db import connection, transaction

from benches import lists, other_ledgers


@pytest.mark.django_db
def test_the_index_of_a_statement_is_named() -> None:
    """Its table has no other index: of several for an empty table the planner takes any."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE indexed (id integer PRIMARY KEY) ON COMMIT DROP")
        cursor.execute("SET LOCAL enable_seqscan = off")  # which the planner prefers of an empty table
        assert lists.indexes("SELECT FROM indexed WHERE id = %s", [1]) == ["indexed_pkey"]


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


def test_a_run_is_compared_with_a_run_of_the_bare_views() -> None:
    rows = [
        {
            "key": f"one_run:{name}",
            "workload": "list_nodes",
            "clients": 1,
            "rate": 1,
            "ms": {"list_nodes": {"p50": p50}},
        }
        for name, p50 in (("BareRun", 0.5), ("LedgerRun", 1.0))
    ]
    table = other_ledgers.report(["one_run:BareRun", "one_run:LedgerRun"], rows).splitlines()
    assert table[2:] == [
        "| target | a run, p50 in ms |",
        "|---|---|",
        "| bare Django views, WSGI | 0.5 (1.00) / – |",
        "| this ledger, `manage.py serve` | 1 (2.00) / – |",
    ]
