"""Ending a run settles its nodes in the same transaction."""

from typing import Any

import pytest

from executions.exceptions import InvalidTransition
from executions.models import NodeExecution, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state

pytestmark = pytest.mark.django_db

STATES = ["pending", "running", "completed", "failed", "skipped", "cancelled"]


@pytest.fixture
def run() -> WorkflowExecution:
    """Return a running run with one node in each state."""
    run = WorkflowExecutionFactory()
    run.start()
    for order, state in enumerate(STATES):
        in_state(NodeExecutionFactory(workflow_execution=run, execution_order=order), state)
    return run


def final_statuses(run: WorkflowExecution) -> dict[str, str]:
    found = [str(node.status) for node in run.node_executions.all()]
    return {before: after for before, after in zip(STATES, found, strict=True) if before != after}


def test_cancelling_cancels_pending_and_running_nodes(run: Any) -> None:
    run.cancel()
    assert final_statuses(run) == {"pending": "cancelled", "running": "cancelled"}


def test_failing_skips_pending_nodes_and_cancels_running_ones(run: Any) -> None:
    run.fail("x")
    assert final_statuses(run) == {"pending": "skipped", "running": "cancelled"}


def test_completing_is_refused_while_nodes_are_running_and_says_how_many(run: Any) -> None:
    with pytest.raises(
        InvalidTransition, match="Cannot complete execution in running state: 1 of its nodes is still running"
    ):
        run.complete({"a": 1})
    in_state(NodeExecutionFactory(workflow_execution=run), "running")
    with pytest.raises(InvalidTransition, match="2 of its nodes are still running"):
        run.complete({"a": 1})
    assert (str(run.status), run.ended_at, run.output_data) == ("running", None, None)
    run.refresh_from_db()
    assert (str(run.status), run.version) == ("running", 2)
    assert settled_count(run) == 0


def settled_count(run: Any) -> int:
    return run.node_executions.filter(settled=True).count()


def test_completing_skips_pending_nodes(run: Any) -> None:
    run.node_executions.running().get().complete()
    run.complete()
    assert final_statuses(run) == {"pending": "skipped", "running": "completed"}


def test_a_settled_node_ends_with_its_run_and_not_before_its_start(run: Any) -> None:
    run.cancel()
    for node in run.node_executions.filter(settled=True):
        assert node.ended_at >= (node.started_at or node.created_at)
        assert node.version == (3 if node.started_at else 2)


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
def test_a_node_of_a_run_that_has_ended_is_not_started(state: str) -> None:
    run = in_state(WorkflowExecutionFactory(), state)
    late = NodeExecutionFactory(workflow_execution=run)
    with pytest.raises(InvalidTransition, match=f"Cannot start execution in pending state: its run is {state}"):
        late.start()


def test_a_node_of_a_run_that_has_not_started_is_not_started() -> None:
    node = NodeExecutionFactory()
    with pytest.raises(InvalidTransition, match="Cannot start execution in pending state: its run has not started: "):
        node.start()
    assert NodeExecution.objects.get(pk=node.pk).status == "pending"


def test_settling_takes_the_same_number_of_statements_for_any_number_of_nodes(django_assert_num_queries: Any) -> None:
    for size in (1, 50):
        run = in_state(WorkflowExecutionFactory(), "running")
        for _ in range(size):
            NodeExecutionFactory(workflow_execution=run)
        with django_assert_num_queries(3):  # savepoint, the move, release
            run.fail("x")
