"""Each filter and ordering of runs that the API offers is answered by an index: the plan names it."""

import re
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from executions import attention, run_conditions, sort_keys
from executions.admin.search import list_search
from executions.api.filters import NodeExecutionFilters, WorkflowExecutionFilters
from executions.models import NodeExecution, WorkflowExecution
from executions.rollups import Durations
from executions.tests.factories import (
    NodeExecutionFactory,
    WorkflowExecutionFactory,
    in_state,
)
from executions.tests.filtered_lists import AFTER, BEFORE, SEVERAL, filter_queryset, first_runs
from executions.tests.query_plans import plan, uses
from workflows.history import DefinitionChange
from workflows.tests.factories import NodeFactory, UserFactory, WorkflowFactory

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
