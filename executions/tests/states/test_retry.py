from typing import Any

import pytest
from django.core.exceptions import ValidationError

from executions.audit import act_as
from executions.exceptions import InvalidTransition
from executions.models import NodeExecution, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from workflows.models import Workflow
from workflows.tests.factories import NodeFactory, WorkflowFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def run() -> WorkflowExecution:
    """Return the run of fetch → rank → report; `node(run, "rank")` is one of its node executions."""
    workflow: Workflow = WorkflowFactory(chain=["fetch", "rank", "report"])
    run = WorkflowExecutionFactory(workflow=workflow)
    for node in workflow.nodes.all():
        run.add_node(node)
    run.start()
    return run


def node(run: WorkflowExecution, name: str) -> NodeExecution:
    return run.node_executions.get(node__name=name)


def states(run: WorkflowExecution) -> dict[str, str]:
    return dict(run.node_executions.values_list("node__name", "status"))


def fail_at_rank(run: WorkflowExecution) -> None:
    in_state(node(run, "fetch"), "completed")
    in_state(node(run, "rank"), "running").fail("no prices", "Traceback: line 1")
    run.fail("rank failed")


def test_a_runs_retry_retries_what_failed_and_resets_what_was_skipped_because_of_it(run: Any) -> None:
    fail_at_rank(run)
    assert states(run) == {"fetch": "completed", "rank": "failed", "report": "skipped"}
    run.retry()
    assert states(run) == {"fetch": "completed", "rank": "pending", "report": "pending"}
    assert (node(run, "rank").retry_count, node(run, "report").retry_count) == (1, 0)
    assert (run.started_at, run.ended_at, run.error_message, run.output_data) == (None, None, None, None)


def test_what_the_failed_attempt_was_stays_readable(run: Any) -> None:
    fail_at_rank(run)
    was, rank = WorkflowExecution.objects.get(pk=run.pk), node(run, "rank")
    run.retry()
    kept = run.attempts.get()
    assert (kept.number, kept.status, kept.error_message) == (1, "failed", "rank failed")
    assert (kept.started_at, kept.ended_at) == (was.started_at, was.ended_at)
    kept = node(run, "rank").attempts.get()
    assert (kept.number, kept.error_message, kept.error_traceback) == (1, "no prices", "Traceback: line 1")
    assert kept.duration_seconds == rank.duration_seconds
    assert not node(run, "report").attempts.exists()


def test_a_node_that_ran_when_its_run_failed_keeps_that_attempt_too(run: Any) -> None:
    in_state(node(run, "fetch"), "running")
    run.fail("the engine died")
    assert states(run)["fetch"] == "cancelled"
    run.retry()
    fetch = node(run, "fetch")
    assert (str(fetch.status), fetch.attempt, fetch.retry_count, fetch.attempts.get().status) == (
        "pending",
        2,
        0,
        "cancelled",
    )


def test_a_node_that_an_engine_skipped_because_of_the_failure_is_reset(run: Any) -> None:
    in_state(node(run, "rank"), "failed")
    node(run, "report").skip()
    run.fail("rank failed")
    run.retry()
    assert states(run) == {"fetch": "pending", "rank": "pending", "report": "pending"}


def test_a_node_that_was_skipped_for_another_reason_stays_skipped(run: Any) -> None:
    other = run.add_node(NodeFactory(workflow=run.workflow, name="other branch"), execution_order=5)
    other.skip()
    fail_at_rank(run)
    run.retry()
    assert states(run)["other branch"] == "skipped"


def test_without_edges_only_what_the_runs_end_settled_is_reset() -> None:
    run = WorkflowExecutionFactory()
    failed, skipped, waiting = (
        NodeExecutionFactory(workflow_execution=run, execution_order=order) for order in range(3)
    )
    run.start()
    skipped.skip()
    in_state(failed, "failed")
    run.fail("x")
    assert run.node_executions.get(pk=waiting.pk).status == "skipped"
    run.retry()
    assert [str(n.status) for n in run.node_executions.all()] == ["pending", "skipped", "pending"]


def test_every_attempt_is_kept(run: Any) -> None:
    rank = node(run, "rank")
    for number in range(3):
        in_state(rank, "failed")
        assert rank.can_retry
        rank.retry()
        assert rank.retry_count == number + 1
    assert [attempt.number for attempt in rank.attempts.all()] == [1, 2, 3]
    in_state(rank, "failed")
    assert not rank.can_retry
    with pytest.raises(InvalidTransition, match="it has used 3 of 3 retries"):
        rank.retry()
    assert rank.attempts.count() == 3


def test_a_run_whose_failed_node_has_no_retry_left_is_not_retried_until_it_is_allowed_more(run: Any) -> None:
    rank = node(run, "rank")
    NodeExecution.objects.filter(pk=rank.pk).update(retry_count=3)
    fail_at_rank(run)
    with pytest.raises(InvalidTransition, match="its node “rank” has used 3 of 3 retries; raise max_retries"):
        run.retry()
    assert (str(run.status), run.attempts.count(), node(run, "report").status) == ("failed", 0, "skipped")
    rank.node.retry_config = {"max_retries": 4}
    rank.node.save()
    run.retry()
    assert (node(run, "rank").retry_count, str(node(run, "rank").status)) == (4, "pending")


@pytest.mark.parametrize(
    ("config", "retries"), [({}, 3), ({"max_retries": 0}, 0), ({"max_retries": 1}, 1), ({"max_retries": None}, 3)]
)
def test_max_retries_is_3_where_unset(config: Any, retries: int) -> None:
    execution = in_state(NodeExecutionFactory(node__retry_config=config), "failed")
    assert execution.can_retry is (retries > 0)
    assert execution.node.max_retries == retries


def test_only_a_failed_node_can_be_retried() -> None:
    assert [state for state in ("pending", "running", "completed", "skipped", "cancelled", "failed")
            if in_state(NodeExecutionFactory(), state).can_retry] == ["failed"]  # fmt: skip


@pytest.mark.parametrize("end", ["complete", "cancel", "fail"])
def test_a_node_of_a_run_that_has_ended_is_not_retried_by_itself(run: Any, end: str) -> None:
    rank = in_state(node(run, "rank"), "failed")
    getattr(run, end)(*(["x"] if end == "fail" else []))
    with pytest.raises(InvalidTransition, match=f"its run is {end.rstrip('e')}"):
        rank.retry()


def test_a_run_can_be_retried_again_and_again(run: Any) -> None:
    for number in range(1, 4):
        in_state(node(run, "rank"), "failed")
        run.fail(f"try {number}")
        run.retry()
        run.start()
    assert [a.error_message for a in run.attempts.all()] == ["try 1", "try 2", "try 3"]
    assert node(run, "rank").retry_count == 3


def test_a_retry_beyond_max_retries_needs_a_reason_and_is_granted_once(run: Any) -> None:
    run.workflow.nodes.filter(name="rank").update(retry_config={"max_retries": 0})
    fail_at_rank(run)
    with pytest.raises(InvalidTransition, match="used 0 of 0 retries"):
        run.retry()
    with pytest.raises(ValidationError, match="needs a reason"):
        run.retry(override_max_retries=True)
    with act_as(reason="the exchange is open again"):
        run.retry(override_max_retries=True)
    assert states(run) == {"fetch": "completed", "rank": "pending", "report": "pending"}
    run.start()
    in_state(node(run, "rank"), "running").fail("no prices")
    run.fail("rank failed")
    with pytest.raises(InvalidTransition, match="used 1 of 0 retries"):
        run.retry()


def test_a_node_is_retried_beyond_max_retries_with_a_reason(run: Any) -> None:
    run.workflow.nodes.filter(name="rank").update(retry_config={"max_retries": 0})
    in_state(node(run, "fetch"), "completed")
    rank = in_state(node(run, "rank"), "failed")
    with pytest.raises(InvalidTransition, match="used 0 of 0 retries"):
        rank.retry()
    with act_as(reason="the exchange is open again"):
        rank.retry(override_max_retries=True)
    assert (node(run, "rank").status, node(run, "rank").retry_count) == ("pending", 1)


def test_only_what_failed_is_retried_beyond_max_retries(run: Any) -> None:
    with act_as(reason="again"), pytest.raises(InvalidTransition):
        in_state(node(run, "fetch"), "completed").retry(override_max_retries=True)
    with act_as(reason="again"), pytest.raises(InvalidTransition):
        run.retry(override_max_retries=True)
