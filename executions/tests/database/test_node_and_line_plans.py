"""Each filter and ordering of node executions and log lines is answered by an index: the plan names it."""

import re
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from executions import partitions, sort_keys
from executions.api.filters import LogFilters, NodeExecutionFilters
from executions.api.list_querysets import lines_of_run, nodes_of_run
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.tests.factories import (
    ExecutionLogFactory,
    NodeExecutionFactory,
    WorkflowExecutionFactory,
)
from executions.tests.filtered_lists import AFTER, BEFORE, filter_queryset
from executions.tests.query_plans import kept_plan, plan, uses
from ledgerkit.db.bounded_rows import EXAMPLE, RowsOf
from workflows.tests.factories import WorkflowFactory


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("status=failed", "status"),
        ("node={node}", "node"),
        ("workflow={workflow}", "node"),
        (f"created_after={AFTER}&created_before={BEFORE}", "created"),
        ("q=refused", "error_text"),
        ("duration_min=5", "duration"),
        ("duration_max=5", "duration"),
    ],
)
def test_a_filter_of_node_executions_is_answered_by_its_index(only: Any, query: str, index: str) -> None:
    node = NodeExecutionFactory().node
    only("node_executions", f"idx_node_executions_{index}")
    text = query.format(node=node.pk, workflow=node.workflow_id)
    found = plan(filter_queryset(NodeExecutionFilters, NodeExecution.objects.all(), text).order_by())
    assert uses(found, f"idx_node_executions_{index}")
    assert "Index Cond: " in found


@pytest.mark.parametrize("sign", ["", "-"])
def test_the_longest_and_shortest_node_executions_are_read_off_their_index(only: Any, sign: str) -> None:
    only("node_executions", "idx_node_executions_duration")
    rows = NodeExecution.objects.annotate(by_duration=sort_keys.NODE_DURATION).filter(sort_keys.HAS_NODE_DURATION)
    found = plan(rows.order_by(f"{sign}by_duration", f"{sign}id")[:50])
    assert uses(found, "idx_node_executions_duration")
    assert "Sort" not in found


def test_node_executions_are_read_newest_first_off_their_index(only: Any) -> None:
    only("node_executions", "idx_node_executions_created")
    found = plan(NodeExecution.objects.order_by("-created_at", "-id")[:50])
    assert uses(found, "idx_node_executions_created")
    assert "Sort" not in found


def test_the_newest_of_several_nodes_are_read_off_the_index_of_each(only: Any) -> None:
    workflow = WorkflowFactory(chain=["fetch", "rank", "report"])
    only("node_executions", "idx_node_executions_node")
    rows = filter_queryset(NodeExecutionFilters, NodeExecution.objects.all(), f"workflow={workflow.pk}")
    found = plan(rows.first_of(("-created_at", "-id"), 51))
    assert 'using idx_node_executions_node on node_executions "V0"' in found
    each = found.split('node_executions "V0"')[1].split("->")[0]
    assert "Index Cond: " in each
    assert '(node_id = "W0".id)' in each
    assert "Filter" not in each


NAMES = [f"step {number}" for number in range(12)]


@pytest.mark.usefixtures("statistics", "db")
def test_the_planner_expects_as_many_rows_of_each_node_as_there_are() -> None:
    """With the list of all nodes beside the condition of one, it expected fewer, and sorted all rows of each."""
    run, other = (WorkflowExecutionFactory(workflow=WorkflowFactory(chain=NAMES[:number])) for number in (4, 12))
    for node in (*run.workflow.nodes.all(), *other.workflow.nodes.all()):
        owner = run if node.workflow_id == run.workflow_id else other
        NodeExecution.objects.bulk_create(NodeExecutionFactory.build_batch(50, workflow_execution=owner, node=node))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE node_executions, nodes; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
    rows = filter_queryset(NodeExecutionFilters, NodeExecution.objects.all(), f"workflow={run.workflow_id}")
    found = plan(rows.first_of(("-created_at", "-id"), 51))
    (expected,) = re.findall(r'on node_executions "V0" \(cost=\S+ rows=(\d+)', found)
    assert 40 <= int(expected) <= 60


def test_a_text_that_many_errors_of_nodes_have_is_expected_in_many(statistics: None, db: None) -> None:
    run = WorkflowExecutionFactory(workflow=WorkflowFactory(chain=["fetch"]))
    rows = NodeExecutionFactory.build_batch(200, workflow_execution=run, node=run.workflow.nodes.get())
    NodeExecution.objects.bulk_create(rows)
    ended = {"status": "failed", "started_at": timezone.now(), "ended_at": timezone.now()}
    NodeExecution.objects.update(error_message="quote service", **ended)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE node_executions")
    found = filter_queryset(NodeExecutionFilters, NodeExecution.objects.all(), "q=quote+service")
    assert "rows=200 " in plan(found.order_by())


@pytest.mark.parametrize("query", ["status=failed", "q=refused", f"status=failed&created_before={BEFORE}"])
def test_the_newest_failed_node_executions_are_read_off_an_index_of_these(only: Any, query: str) -> None:
    """Not off that of all executions, of which few failed."""
    only("node_executions", "idx_node_executions_failed_created")
    rows = filter_queryset(NodeExecutionFilters, NodeExecution.objects.all(), query)
    found = plan(rows.first_of(("-created_at", "-id"), 51))
    assert uses(found, "idx_node_executions_failed_created")
    assert "Sort" not in found


@pytest.mark.parametrize(
    ("query", "place"), [("node={node}&", "node_id = '"), ("workflow={workflow}&", 'node_id = "W0".id')]
)
def test_failed_node_executions_are_read_off_an_index_of_their_own(only: Any, query: str, place: str) -> None:
    workflow = WorkflowFactory(chain=["fetch", "rank", "report"])
    only("node_executions", "idx_node_executions_failed")
    text = f"{query}status=failed".format(node=workflow.nodes.first().pk, workflow=workflow.pk)
    found = plan(
        filter_queryset(NodeExecutionFilters, NodeExecution.objects.all(), text).first_of(("-created_at", "-id"), 51)
    )
    assert uses(found, "idx_node_executions_failed")
    assert place in found.split("idx_node_executions_failed")[-1]


@pytest.mark.parametrize(
    ("query", "column"),
    [("", "timestamp_idx"), ("&level=error", "level_timestamp_idx"), ("&level_min=warning", "level_timestamp_idx")],
)
def test_lines_of_a_period_come_from_the_index_of_each_partition(only: Any, query: str, column: str) -> None:
    only("execution_logs", f"idx_execution_logs_{column.partition('_')[0]}")
    lines = filter_queryset(LogFilters, ExecutionLog.objects.all(), f"after={AFTER}&before={BEFORE}{query}")
    found = plan(lines.order_by())
    assert found.count(f"_{column}") >= len(partitions.existing())


def runs_with_few_rows() -> None:
    """Store 100 runs of four nodes and four lines. PostgreSQL expects as many of every run."""
    workflow = WorkflowFactory(chain=["fetch", "rank", "report", "tell"])
    runs = WorkflowExecutionFactory.build_batch(100, workflow=workflow, status="completed", ended_at=timezone.now())
    WorkflowExecution.objects.bulk_create([*runs])
    nodes = [*workflow.nodes.all()]
    NodeExecution.objects.bulk_create(
        NodeExecutionFactory.build(workflow_execution=run, node=node, execution_order=place)
        for run in runs
        for place, node in enumerate(nodes)
    )
    ExecutionLog.objects.bulk_create(
        ExecutionLogFactory.build(workflow_execution=run) for run in runs for _number in range(4)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE workflow_executions, node_executions, nodes, execution_logs")
        cursor.execute("SET LOCAL enable_seqscan = off")  # in tables of a few pages


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.usefixtures("statistics", "db")
def test_a_page_of_a_large_run_is_read_in_order_by_the_plan_that_is_kept(sign: str) -> None:
    """So that 500 of a million lines do not take reading and sorting all of them."""
    runs_with_few_rows()
    lines = RowsOf(ExecutionLog, lines_of_run, EXAMPLE, keeps_plan=True)
    for page in (lines, lines.after([timezone.now(), EXAMPLE])):
        found = kept_plan(page.first_of((f"{sign}timestamp", f"{sign}id"), 501))
        assert "Merge Append" in found
        assert "Sort " not in found.partition("Merge Append")[0]
    nodes = RowsOf(NodeExecution, nodes_of_run, EXAMPLE, keeps_plan=True)
    found = kept_plan(nodes.first_of((f"{sign}execution_order", f"{sign}id"), 501))
    assert "Presorted Key: node_executions.execution_order" in found
    assert "using idx_node_executions_order on" in found
