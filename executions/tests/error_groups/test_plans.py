"""Plans of the lists of a group of errors: the rows of a small group are looked up, and a large one is walked."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions import limits
from executions.error_groups import group_queries
from executions.models import ErrorFingerprint, ErrorGroup, ErrorOccurrence, NodeExecution, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory
from executions.tests.query_plans import plan, uses
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.usefixtures("statistics", "db")
RUNS = 1_200
TABLES = ("workflow_executions", "node_executions")
ORDER = ("-created_at", "-id")


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> dict[str, ErrorGroup]:
    """Return a group of which there are three failures, and one that all runs are of."""
    monkeypatch.setattr(limits, "ERROR_GROUP_ROWS", 100)
    workflow = WorkflowFactory(chain=["load"])
    nodes = nodes_of_runs(workflow)
    for title, failed in (("rare", nodes[:: RUNS // 3]), ("frequent", nodes)):
        fail(fingerprint(workflow, title), failed)
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {', '.join(TABLES)}, error_occurrences, error_fingerprints")
        cursor.execute("SET LOCAL enable_seqscan = off")  # of tables that are not this small, it would cost more
    return {group.title: group for group in ErrorGroup.objects.all()}


def nodes_of_runs(workflow: Workflow) -> list[NodeExecution]:
    runs = WorkflowExecution.objects.bulk_create(WorkflowExecutionFactory.build_batch(RUNS, workflow=workflow))
    node = workflow.nodes.get()
    rows = [NodeExecutionFactory.build(workflow_execution=run, node=node) for run in runs]
    return NodeExecution.objects.bulk_create(rows)


def fingerprint(workflow: Workflow, title: str) -> ErrorFingerprint:
    seen = {"first_seen": timezone.now(), "last_seen": timezone.now()}
    group = ErrorGroup.objects.create(title=title, **seen)
    return group.fingerprints.create(workflow=workflow, digest=title, rule="message", **seen)


def fail(made: ErrorFingerprint, nodes: list[NodeExecution]) -> None:
    ErrorOccurrence.objects.bulk_create(
        ErrorOccurrence(
            fingerprint=made, workflow_execution_id=node.workflow_execution_id, node_execution=node, attempt=1,
            happened_at=timezone.now(),
        )
        for node in nodes
    )  # fmt: skip


def plans(group: ErrorGroup) -> dict[str, str]:
    runs, nodes = WorkflowExecution.objects.order_by(*ORDER), NodeExecution.objects.order_by(*ORDER)
    found = {
        "workflow_executions": group_queries.runs_of(group, runs),
        "node_executions": group_queries.nodes_of(group, nodes),
    }
    return {table: plan(rows[:51]) for table, rows in found.items()}


@pytest.mark.slow
def test_the_rows_of_a_small_group_are_looked_up_by_the_index_of_its_failures(groups: dict[str, ErrorGroup]) -> None:
    for table, found in plans(groups["rare"]).items():
        assert uses(found, "idx_error_occurrences_fingerprint")
        assert uses(found, f"{table}_pkey")
        assert not uses(found, f"idx_{table}_created")


@pytest.mark.slow
def test_a_large_group_is_walked_in_the_order_of_the_list(groups: dict[str, ErrorGroup]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off")
    for table, found in plans(groups["frequent"]).items():
        assert uses(found, f"idx_{table}_created")
        assert "error_occurrence_once" in found
        assert "Sort" not in found


@pytest.mark.slow
def test_a_large_group_of_which_few_failures_are_recent_is_looked_up_since_then(groups: dict[str, ErrorGroup]) -> None:
    group, since = groups["frequent"], timezone.now() - timedelta(days=1)
    runs = WorkflowExecution.objects.order_by(*ORDER)
    assert uses(plan(group_queries.runs_of(group, runs, since=since)[:51]), "idx_workflow_executions_created")
    of_group = ErrorOccurrence.objects.filter(fingerprint__group=group)
    recent = list(of_group.order_by("-id").values_list("id", flat=True)[:3])
    of_group.exclude(id__in=recent).update(happened_at=since - timedelta(days=1))
    with CaptureQueriesContext(connection) as queries:
        found = group_queries.runs_of(group, runs, since=since)[:51]
        assert len(found) == 3
    assert not uses(plan(found), "idx_workflow_executions_created")
    assert uses(plan(found), "workflow_executions_pkey")
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {queries[0]['sql']}")
        assert uses(" ".join(line for (line,) in cursor.fetchall()), "idx_error_occurrences_fingerprint")
