"""Runs of a period or a duration are found in an index that has both times: the plan names it."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection

from executions import creation_bounds, limits
from executions.api.filters import WorkflowExecutionFilters
from executions.models import WorkflowExecution
from executions.tests.factories import (
    WorkflowExecutionFactory,
    in_state,
)
from executions.tests.filtered_lists import AFTER, BEFORE, SEVERAL, filter_queryset, first_runs
from executions.tests.query_plans import plan
from ledgerkit.tests.clients import client_of
from workflows.tests.factories import UserFactory, WorkflowFactory


def test_in_an_order_without_such_an_index_the_planner_chooses(only: Any) -> None:
    """Each workflow would be searched through the starts of all runs."""
    run = WorkflowExecutionFactory()
    only("workflow_executions", "idx_workflow_executions_started")
    found = first_runs(SEVERAL.format(workflow=run.workflow_id), ("by_start", "id"))
    assert found.count("idx_workflow_executions_started") == 1
    assert '"U0"' not in found


STARTED_EACH_MINUTE = """
UPDATE workflow_executions AS run
SET status = 'completed', created_at = start, started_at = start, ended_at = start
FROM (SELECT id, %s + row_number() OVER (ORDER BY id) * interval '1 minute' AS start
    FROM workflow_executions ORDER BY id LIMIT 600) AS each
WHERE run.id = each.id
"""
PERIOD = f"started_after={AFTER}&ended_before={BEFORE}"


@pytest.mark.parametrize(("query", "index"), [("", "created"), ("workflow={workflow}&", "workflow")])
def test_a_period_bounds_the_creation_of_the_runs_that_are_read(only: Any, query: str, index: str) -> None:
    """But for those that were created long after their start, or long before their end."""
    run = WorkflowExecutionFactory()
    only("workflow_executions", f"idx_workflow_executions_{index}")
    found = first_runs(f"{query}{PERIOD}".format(workflow=run.workflow_id))
    usual, displaced = found.split("Index Only Scan")[1:3]
    assert f"using idx_workflow_executions_{index} on" in usual
    assert "(created_at >= " in usual.split("Filter:")[0]
    assert "(created_at < " in usual.split("Filter:")[0]
    assert "LEAST(" in displaced


def test_runs_that_were_created_at_another_time_have_an_index_and_are_expected_to_be_few(
    statistics: None, db: None
) -> None:
    workflow = WorkflowFactory()
    WorkflowExecution.objects.bulk_create(WorkflowExecutionFactory.build_batch(300, workflow=workflow))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workflow_executions SET status = 'completed', started_at = created_at, ended_at = created_at"
        )
        cursor.execute("ANALYZE workflow_executions; SET LOCAL enable_seqscan = off")
    for query in ("", f"workflow={workflow.pk}&"):
        assert "using idx_workflow_executions_displaced on" in first_runs(f"{query}started_after=2026-01-01")
    assert "rows=1 " in plan(WorkflowExecution.objects.filter(creation_bounds.DISPLACED))


@pytest.mark.parametrize("query", ["", "workflow={workflow}&"])
def test_many_runs_that_started_first_in_the_ledger_are_expected_to_be_many(
    statistics: None, db: None, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    """The least value of the index is that of runs that never started."""
    monkeypatch.setattr(limits, "FEW_STARTS", 2)
    workflow, first = WorkflowFactory(), datetime(2026, 3, 1, tzinfo=UTC)
    WorkflowExecution.objects.bulk_create(WorkflowExecutionFactory.build_batch(620, workflow=workflow))
    with connection.cursor() as cursor:
        cursor.execute(STARTED_EACH_MINUTE, [first])
        cursor.execute("ANALYZE workflow_executions")
    period = f"started_after={first:%Y-%m-%dT%H:%M:%SZ}&started_before={first:%Y-%m-%dT}00:05:00Z"
    rows = WorkflowExecution.objects.order_by()
    question = filter_queryset(WorkflowExecutionFilters, rows, query.format(workflow=workflow.pk) + period)
    assert 3 <= int(re.findall(r"rows=(\d+)", plan(question))[0]) <= 7


@pytest.mark.parametrize(("most", "uses_index"), [(0, False), (1, True)])
def test_the_index_of_the_starts_finds_few_runs(
    db: None, monkeypatch: pytest.MonkeyPatch, most: int, uses_index: bool
) -> None:
    in_state(WorkflowExecutionFactory(), "running")
    monkeypatch.setattr(limits, "FEW_STARTS", most)
    for rows in (
        filter_queryset(WorkflowExecutionFilters, WorkflowExecution.objects.all(), f"started_after={AFTER}"),
        client_of(UserFactory(is_staff=True, is_superuser=True))
        .get(f"/admin/executions/workflowexecution/?from={AFTER}T00:00:00Z&time=started")
        .context["cl"]
        .queryset,
    ):
        assert ("COALESCE" in str(rows.values("pk").query)) == uses_index


@pytest.mark.parametrize("index", ["created", "duration"])
def test_runs_of_some_duration_are_found_in_an_index_alone(only: Any, index: str) -> None:
    """The index is by creation if they are many, by duration if they are few."""
    WorkflowExecutionFactory()
    only("workflow_executions", f"idx_workflow_executions_{index}")
    assert f"Index Only Scan using idx_workflow_executions_{index} on" in first_runs("duration_max=5")


def test_the_runs_of_a_workflow_are_ordered_by_start_in_an_index_alone(only: Any) -> None:
    run = WorkflowExecutionFactory()
    only("workflow_executions", "idx_workflow_executions_workflow")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = on")
    found = first_runs(f"workflow={run.workflow_id}&ordering=started", ("by_start", "id"))
    assert "Index Only Scan using idx_workflow_executions_workflow on" in found
