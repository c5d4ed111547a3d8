"""Races of retries: one caller wins, one attempt is kept, and nothing is lost."""

import pytest
from django.db import transaction

from executions.exceptions import InvalidTransition
from executions.models import NodeExecution, WorkflowExecution
from executions.secrets.scrubber import MASK
from executions.tests.acceptance import race
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from executions.tests.races.waiting import SECRET, begin, reveal, verb, while_it_waits

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_who_retry_a_failed_run_keep_one_attempt() -> None:
    run = in_state(WorkflowExecutionFactory(), "running")
    in_state(NodeExecutionFactory(workflow_execution=run), "failed")
    run.fail("x")
    results = race([verb(run, "retry") for _ in range(8)])
    assert results.count("retry") == 1
    assert (run.attempts.count(), run.node_executions.get().attempts.count()) == (1, 1)
    assert run.node_executions.get().retry_count == 1


def test_of_16_callers_of_the_api_who_retry_a_node_one_wins_and_one_attempt_is_kept() -> None:
    run = in_state(WorkflowExecutionFactory(context={"secrets": {"db": "hunter2-and-more"}}), "running")
    node = in_state(NodeExecutionFactory(workflow_execution=run), "running")
    node.fail("no hunter2-and-more")
    read = NodeExecution.objects.with_run().select_related("node")
    results = race([read.get(pk=node.pk).retry for _ in range(16)])
    assert [type(result) for result in results].count(InvalidTransition) == 15
    node.refresh_from_db()
    assert (str(node.status), node.attempt, node.retry_count) == ("pending", 2, 1)
    assert [kept.error_message for kept in node.attempts.all()] == ["no ***masked***"]


@pytest.mark.parametrize("nodes", [0, 3])
def test_of_16_callers_of_the_api_who_retry_a_run_one_wins_and_one_attempt_of_each_row_is_kept(nodes: int) -> None:
    run = failed_run(nodes)
    results = race([as_the_api_reads(run).retry for _ in range(16)])
    refused = [result for result in results if result is not None]
    assert len(refused) == 15
    assert {str(refusal) for refusal in refused} <= {
        "Cannot retry execution in pending state",
        "Cannot retry execution in pending state: this is attempt 1 and the row is at attempt 2; read it again",
    }
    run.refresh_from_db()
    assert (str(run.status), run.attempt, run.version) == ("pending", 2, 4)
    assert [row.attempts.get().error_message for row in (run, *run.node_executions.all())] == ["no ***masked***"] * (
        1 + nodes
    )
    assert set(run.node_executions.values_list("status", "attempt", "retry_count")) <= {("pending", 2, 1)}


@pytest.mark.parametrize("wait", [False, True], ids=["before", "while it waits"])
def test_a_run_that_is_retried_keeps_its_attempts_clear_of_what_came_since_it_was_read(wait: bool) -> None:
    run = failed_run(2, f"login with {SECRET} refused")
    mine = as_the_api_reads(run)
    if wait:
        while_it_waits(run.pk, mine.retry)
    else:
        reveal(run.pk)
        mine.retry()
    kept = [row.attempts.get().error_message for row in (run, *run.node_executions.all())]
    assert kept == [f"login with {MASK} refused"] * 3
    assert (str(mine.status), mine.attempt, mine.error_message) == ("pending", 2, None)


def test_a_run_that_is_retried_keeps_what_was_changed_since_it_was_read() -> None:
    run = failed_run(1)
    mine, node = as_the_api_reads(run), run.node_executions.get()
    run.refresh_from_db()
    for row in (run, node):
        row.output_data = {"found": "later"}
        row.save()
    mine.retry()
    assert [row.attempts.get().output_data for row in (run, node)] == [{"found": "later"}] * 2
    run.refresh_from_db()
    assert (str(run.status), run.output_data, run.version) == ("pending", None, mine.version + 2)


def test_a_node_that_is_changed_while_its_run_is_retried_loses_nothing() -> None:
    run = failed_run(1)
    mine, node = as_the_api_reads(run), run.node_executions.get()
    with transaction.atomic():
        node.output_data = {"found": "later"}
        node.save()
        other = begin(mine.retry)
    other.join()
    assert node.attempts.get().output_data == {"found": "later"}
    node.refresh_from_db()
    assert (str(node.status), node.output_data) == ("pending", None)


def failed_run(nodes: int, error: str = "no hunter2-and-more") -> WorkflowExecution:
    """Return a failed run with so many nodes, all of which failed."""
    run = in_state(WorkflowExecutionFactory(context={"secrets": {"db": "hunter2-and-more"}}), "running")
    for _ in range(nodes):
        in_state(NodeExecutionFactory(workflow_execution=run), "running").fail(error)
    run.fail(error)
    return run


def as_the_api_reads(run: WorkflowExecution) -> WorkflowExecution:
    row: WorkflowExecution = WorkflowExecution.objects.select_related("graph").get(pk=run.pk)
    return row


def test_a_node_that_is_retried_keeps_what_was_changed_since_it_was_read() -> None:
    node = in_state(NodeExecutionFactory(workflow_execution=in_state(WorkflowExecutionFactory(), "running")), "failed")
    mine = NodeExecution.objects.with_run().select_related("node").get(pk=node.pk)
    node.output_data = {"found": "later"}
    node.save()
    mine.retry()
    assert (node.attempts.get().output_data, mine.version) == ({"found": "later"}, 3)
    node.refresh_from_db()
    assert (str(node.status), node.output_data, node.attempt) == ("pending", None, 2)


@pytest.mark.parametrize("read", ["with its secrets", "without"])
def test_a_node_and_its_run_retried_at_once_do_not_deadlock(read: str) -> None:
    for _ in range(5):
        run = in_state(WorkflowExecutionFactory(), "running")
        nodes = [in_state(NodeExecutionFactory(workflow_execution=run), "failed") for _ in range(4)]
        run.fail("x")
        retry = verb(run, "retry") if read == "without" else as_the_api_reads(run).retry
        race([retry, *(verb(node, "retry") for node in nodes)])
        assert set(run.node_executions.values_list("status", "retry_count")) == {("pending", 1)}


def test_a_node_that_is_retried_keeps_its_attempt_clear_of_what_came_since_it_was_read() -> None:
    node = in_state(NodeExecutionFactory(workflow_execution=in_state(WorkflowExecutionFactory(), "running")), "running")
    node.fail(f"login with {SECRET} refused")
    mine = NodeExecution.objects.with_run().select_related("node").get(pk=node.pk)
    reveal(node.run_id)
    mine.retry()
    assert node.attempts.get().error_message == f"login with {MASK} refused"
