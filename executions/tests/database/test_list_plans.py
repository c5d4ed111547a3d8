"""Each filter and ordering that the API offers is answered by an index: the plan names it."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q
from django.utils import timezone
from rest_framework.test import APIRequestFactory

from executions import attention, creation_bounds, limits, partitions, run_conditions, sort_keys
from executions.admin.search import list_search
from executions.api.filters import LogFilters, NodeExecutionFilters, WorkflowExecutionFilters
from executions.api.list_querysets import lines_of_run, nodes_of_run
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.rollups import Durations
from executions.tests.factories import (
    ExecutionLogFactory,
    NodeExecutionFactory,
    WorkflowExecutionFactory,
    in_state,
)
from executions.tests.query_plans import kept_plan, plan, uses
from ledgerkit.db.bounded_rows import EXAMPLE, RowsOf
from ledgerkit.tests.clients import client_of
from workflows.history import DefinitionChange
from workflows.tests.factories import NodeFactory, UserFactory, WorkflowFactory

AFTER, BEFORE = "2026-03-01", "2026-03-02"
RUNS = {
    "status=failed": "status",
    "status=failed,cancelled": "status",
    "workflow={workflow}": "workflow",
    "workflow={workflow}&status=failed": "workflow_status",
    "not_status=completed,pending": "status",
    "not_trigger_type=event": "trigger",
    "owner={owner}": "workflow",
    "workflow_name={name}": "workflow",
    "trigger_type=event": "trigger",
    "tag=x": "metadata",
    "correlation_id=x": "metadata",
    "triggered_by=x": "metadata",
    "schedule_id=x": "metadata",
    "priority=5": "metadata",
    "parent=01900000-0000-7000-8000-000000000000": "context",
    "rerun_of=01900000-0000-7000-8000-000000000000": "metadata",
    f"created_after={AFTER}": "created",
    f"created_before={BEFORE}": "created",
    f"started_after={AFTER}": "started",
    f"started_before={BEFORE}": "started",
    f"ended_after={AFTER}": "ended",
    f"ended_before={BEFORE}": "ended",
    "duration_min=5": "duration",
    "duration_max=5": "duration",
    "has_error=true": "error",
    "has_error=false&status=failed": "failed_untold",
    "has_failed_nodes=true": "failed_nodes",
    "q=refused": "error_text",
}


# test_attention.py and error_groups/test_filters.py have the plans of these, tests below those of the last two.
OTHERWISE_PLANNED = {*attention.QUESTIONS, "attention", "error", "error_group", "failed_node", "slow"}


def filter_queryset(filters: Any, queryset: Any, query: str) -> Any:
    request = APIRequestFactory().get(f"/?{query}")
    request.user = UserFactory(is_staff=True, is_superuser=True)
    found = filters(data=request.GET, queryset=queryset, request=request)
    assert found.is_valid(), found.errors
    return found.qs


@pytest.mark.parametrize("query", RUNS)
def test_a_filter_of_runs_is_answered_by_its_index(only: Any, query: str) -> None:
    index = f"idx_workflow_executions_{RUNS[query]}"
    run = WorkflowExecutionFactory()
    only("workflow_executions", index)
    workflow = run.workflow
    known = {"workflow": workflow.pk, "owner": workflow.owner.get_username(), "name": workflow.name}
    question = filter_queryset(WorkflowExecutionFilters, WorkflowExecution.objects.all(), query.format(**known))
    found = plan(question.order_by())
    assert uses(found, index)
    # A condition of the index, not a filter after it: where it is not the whole index that answers.
    assert "Cond: " in found or (query.startswith("has_") and "Filter" not in found)


def test_a_search_of_runs_is_answered_by_the_index_on_metadata(only: Any) -> None:
    run = WorkflowExecutionFactory(metadata={"tags": ["nightly"]})
    only("workflow_executions", "idx_workflow_executions_metadata")
    tagged = list_search.by_correlation_id_or_tag("nightly")
    found = plan(WorkflowExecution.objects.filter(tagged | Q(pk=run.pk)).order_by())
    assert uses(found, "idx_workflow_executions_metadata")
    assert "Filter" not in found


def test_a_search_for_a_workflow_name_is_answered_by_indexes(only: Any) -> None:
    WorkflowExecutionFactory(workflow=WorkflowFactory(name="momentum"))
    only("workflow_executions", "idx_workflow_executions_workflow")
    found = plan(WorkflowExecution.objects.filter(run_conditions.by_workflow_name("momentum")).order_by())
    assert uses(found, "idx_workflow_executions_workflow")
    only("definition_changes", "idx_definition_changes_workflow_name")
    named = DefinitionChange.of_workflows().filter(subject_name__in=["momentum"]).values("subject_id")
    assert uses(plan(named), "idx_definition_changes_workflow_name")


def test_every_filter_of_runs_has_its_plan_here() -> None:
    """Runs without an error are nearly all, and are walked in the order of the list: but for failed ones."""
    assert {part.split("=")[0] for query in RUNS for part in query.split("&")} == set(
        WorkflowExecutionFilters.base_filters
    ) - OTHERWISE_PLANNED


@pytest.mark.parametrize("part", ["Load prices", "prices"])
def test_runs_with_a_failed_node_of_a_name_are_found_by_the_index_of_these_names(only: Any, part: str) -> None:
    node = NodeExecutionFactory(node=NodeFactory(name="Load prices"))
    in_state(node, "failed")
    only("node_executions", "idx_node_executions_failed_name")
    staff = UserFactory(is_staff=True, is_superuser=True)
    condition = run_conditions.has_failed_node_like(staff, part)
    found = plan(WorkflowExecution.objects.filter(condition or Q()))
    assert uses(found, "idx_node_executions_failed_name")
    assert re.search(r"idx_node_executions_failed_name .*?Index Cond: \(+node_name", found)


def test_runs_with_a_text_in_an_error_of_theirs_are_found_by_the_indexes_of_these_texts(only: Any) -> None:
    NodeExecutionFactory()
    only("workflow_executions", "idx_workflow_executions_error_text")
    only("node_executions", "idx_node_executions_error_text")
    text = run_conditions.ErrorText(UserFactory(is_staff=True, is_superuser=True), "refused", None)
    found = plan(WorkflowExecution.objects.filter(pk__in=text.ids).order_by())
    assert uses(found, "idx_workflow_executions_error_text")
    assert uses(found, "idx_node_executions_error_text")


def test_runs_with_a_text_in_an_error_of_theirs_are_read_in_the_order_of_the_list(only: Any) -> None:
    NodeExecutionFactory()
    only("workflow_executions", "idx_workflow_executions_created")
    runs = WorkflowExecution.objects.order_by("-created_at", "-id")
    found = plan(filter_queryset(WorkflowExecutionFilters, runs, "error=refused")[:51])
    assert uses(found, "idx_workflow_executions_created")
    assert "Sort" not in found
    assert "hashed" not in found  # of all nodes that have the text
    assert "(created_at >= " in found.partition("Index Cond: ")[2]


def test_slow_runs_are_those_of_the_last_days_in_the_index_of_the_creation(only: Any, monkeypatch: Any) -> None:
    run = WorkflowExecutionFactory()
    usual = [Durations(run.workflow_id, 100, 1.0, 2.0)]
    monkeypatch.setattr("executions.rollups.usual_durations", lambda *_arguments: usual)
    only("workflow_executions", "idx_workflow_executions_created")
    found = plan(filter_queryset(WorkflowExecutionFilters, WorkflowExecution.objects.all(), "slow=true").order_by())
    assert "(created_at >= " in found.partition("Index Cond: ")[2]


def test_runs_that_are_not_slow_are_told_row_by_row_in_the_order_of_the_list(only: Any, monkeypatch: Any) -> None:
    run = WorkflowExecutionFactory()
    only("workflow_executions", "idx_workflow_executions_created")
    runs = WorkflowExecution.objects.order_by("-created_at", "-id")
    for usual in ([Durations(run.workflow_id, 100, 1.0, 2.0)], []):
        monkeypatch.setattr("executions.rollups.usual_durations", lambda *_arguments, found=usual: found)
        question = filter_queryset(WorkflowExecutionFilters, runs, "slow=false")[:51]
        found = plan(question)
        assert uses(found, "idx_workflow_executions_created")
        assert found.count("workflow_executions") == 2  # the index and the table, once each: no subquery
        assert "Sort" not in found
        assert ("Filter: " in found) is bool(usual)
        assert list(question) == [run]


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize(
    ("index", "name", "key"),
    [
        ("created", "created_at", None),
        ("started", "by_start", sort_keys.STARTED),
        ("duration", "by_duration", sort_keys.DURATION),
    ],
)
def test_an_order_of_runs_is_read_off_its_index(only: Any, index: str, name: str, key: Any, sign: str) -> None:
    only("workflow_executions", f"idx_workflow_executions_{index}")
    runs = WorkflowExecution.objects.annotate(**{name: key} if key else {})
    found = plan(runs.order_by(f"{sign}{name}", f"{sign}id")[:50])
    assert uses(found, f"idx_workflow_executions_{index}")
    assert "Sort" not in found


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


@pytest.mark.parametrize(
    ("filters", "model", "query", "index"),
    [
        (WorkflowExecutionFilters, WorkflowExecution, "workflow={workflow}", "idx_workflow_executions_workflow"),
        (NodeExecutionFilters, NodeExecution, "node={node}", "idx_node_executions_node"),
    ],
)
def test_the_newest_of_one_workflow_or_node_are_read_off_its_index(
    only: Any, filters: Any, model: Any, query: str, index: str
) -> None:
    node = NodeExecutionFactory().node
    only(model._meta.db_table, index)
    rows = filter_queryset(filters, model.objects.all(), query.format(node=node.pk, workflow=node.workflow_id))
    found = plan(rows.order_by("-created_at", "-id")[:50])
    assert uses(found, index)
    assert "Sort" not in found


@pytest.mark.parametrize("sign", ["", "-"])
def test_the_longest_and_shortest_runs_of_a_workflow_are_read_off_its_index(only: Any, sign: str) -> None:
    run = WorkflowExecutionFactory()
    only("workflow_executions", "idx_workflow_executions_workflow_duration")
    runs = filter_queryset(WorkflowExecutionFilters, WorkflowExecution.objects.all(), f"workflow={run.workflow_id}")
    found = plan(runs.annotate(by_duration=sort_keys.DURATION).order_by(f"{sign}by_duration", f"{sign}id")[:50])
    assert uses(found, "idx_workflow_executions_workflow_duration")
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


SEVERAL = "workflow={workflow},01900000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("query", "order", "index"),
    [
        (SEVERAL, ("-created_at", "-id"), "workflow"),
        (SEVERAL, ("by_duration", "id"), "workflow_duration"),
        (SEVERAL, ("-by_duration", "-id"), "workflow_duration"),
        (f"{SEVERAL}&status=failed", ("-created_at", "-id"), "workflow_status"),
        (f"{SEVERAL}&started_after={AFTER}&ended_before={BEFORE}", ("-created_at", "-id"), "workflow"),
    ],
)
def test_the_first_runs_of_several_workflows_are_read_off_the_index_of_each(
    only: Any, query: str, order: tuple[str, str], index: str
) -> None:
    run = WorkflowExecutionFactory()
    only("workflow_executions", f"idx_workflow_executions_{index}")
    rows = WorkflowExecution.objects.annotate(by_start=sort_keys.STARTED, by_duration=sort_keys.DURATION)
    question = filter_queryset(WorkflowExecutionFilters, rows, query.format(workflow=run.workflow_id))
    found = plan(question.first_of(order, 51))
    each = found.split(f'using idx_workflow_executions_{index} on workflow_executions "U0"')[1].split("->")[0]
    assert '(workflow_id = "V0".id)' in each.split("Index Cond: ")[1].split(" Filter:")[0]


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


def first_runs(query: str, order: tuple[str, str] = ("-created_at", "-id")) -> str:
    rows = WorkflowExecution.objects.annotate(by_start=sort_keys.STARTED)
    return plan(filter_queryset(WorkflowExecutionFilters, rows, query).first_of(order, 51))


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


def test_the_shortest_failed_runs_are_read_off_an_index_of_these(only: Any) -> None:
    only("workflow_executions", "idx_workflow_executions_failed_duration")
    runs = WorkflowExecution.objects.annotate(by_duration=sort_keys.DURATION)
    rows = filter_queryset(WorkflowExecutionFilters, runs, "status=failed").first_of(("by_duration", "id"), 51)
    assert uses(plan(rows), "idx_workflow_executions_failed_duration")
    assert "Sort" not in plan(rows)


@pytest.mark.parametrize(
    ("query", "condition"),
    [
        ("status=failed", ""),
        ("status=failed&tag=x", ""),
        (f"status=failed&created_after={AFTER}&created_before={BEFORE}", "(created_at >= "),
    ],
)
def test_the_newest_failed_runs_are_read_off_an_index_of_these(only: Any, query: str, condition: str) -> None:
    """Not off that of all runs, of which few failed."""
    only("workflow_executions", "idx_workflow_executions_failed_created")
    found = first_runs(query)
    assert uses(found, "idx_workflow_executions_failed_created")
    assert "Sort" not in found
    assert condition in found


@pytest.mark.parametrize("condition", ["status=failed", "has_error=true", "q=refused"])
@pytest.mark.parametrize("workflows", ["{workflow}", SEVERAL.removeprefix("workflow=")])
def test_the_newest_failures_of_a_workflow_are_read_off_an_index_of_these(
    only: Any, workflows: str, condition: str
) -> None:
    run = WorkflowExecutionFactory()
    only("workflow_executions", "idx_workflow_executions_workflow_failed")
    found = first_runs(f"workflow={workflows}&{condition}".format(workflow=run.workflow_id))
    assert uses(found, "idx_workflow_executions_workflow_failed")
    assert "Index Cond: (workflow_id = " in found
    assert "Sort" not in found.split("idx_workflow_executions_workflow_failed")[1]


def test_the_runs_of_a_workflow_are_ordered_by_start_in_an_index_alone(only: Any) -> None:
    run = WorkflowExecutionFactory()
    only("workflow_executions", "idx_workflow_executions_workflow")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = on")
    found = first_runs(f"workflow={run.workflow_id}&ordering=started", ("by_start", "id"))
    assert "Index Only Scan using idx_workflow_executions_workflow on" in found


def test_a_text_that_many_errors_have_is_expected_in_many(statistics: None, db: None) -> None:
    """So that the newest errors are read, and not all that have the text are found before."""
    new = WorkflowExecutionFactory.build_batch(200, workflow=WorkflowFactory())
    WorkflowExecution.objects.bulk_create(new)
    ended = {"status": "failed", "started_at": timezone.now(), "ended_at": timezone.now()}
    WorkflowExecution.objects.update(error_message="quote service", **ended)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE workflow_executions")
    found = filter_queryset(WorkflowExecutionFilters, WorkflowExecution.objects.all(), "q=quote+service")
    assert "rows=200 " in plan(found.order_by())


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
