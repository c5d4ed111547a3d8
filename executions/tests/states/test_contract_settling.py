"""Contract tests of nodes when their run ends, and of what a retry keeps; more are in test_settling and test_retry."""

import pytest
from django.db import DatabaseError

from executions.models import NodeExecution, WorkflowExecution
from executions.tests.acceptance import (
    act,
    fresh,
    new_edge,
    new_node,
    new_node_execution,
    new_run,
    new_workflow,
    node_execution_in,
    sql,
    statuses,
    values,
)
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


def run_with(*names: str, workflow: Workflow | None = None) -> tuple[WorkflowExecution, dict[str, NodeExecution]]:
    """Return a running run with pending node executions of these names."""
    run = new_run(workflow)
    rows = {name: new_node_execution(run, name, order) for order, name in enumerate(names)}
    run.start()
    return run, rows


def run_in_the_middle() -> tuple[WorkflowExecution, dict[str, NodeExecution]]:
    """Return a running run with a pending, a running and a completed node."""
    run, rows = run_with("done", "busy", "waiting")
    for verb in ("start", "complete"):
        act(rows["done"], verb)
    rows["busy"].start()
    return run, rows


def failed_run() -> tuple[WorkflowExecution, dict[str, NodeExecution]]:
    """Return a run that failed by one node, while another was completed, one was running and one was pending."""
    run, rows = run_with("done", "bad", "busy", "waiting")
    for name in ("done", "bad", "busy"):
        rows[name].start()
    rows["done"].complete({"rows": 5})
    rows["bad"].fail("malformed row", "Traceback: line 7")
    run.fail("a node failed")
    return fresh(run), {name: fresh(row) for name, row in rows.items()}


# --- settling ----------------------------------------------------------------
def test_cancelling_a_pending_run_cancels_its_pending_nodes() -> None:
    run = new_run()
    new_node_execution(run)
    run.cancel()
    assert statuses(run) == {"load": "cancelled"}


def test_settling_leaves_the_nodes_of_other_runs_alone() -> None:
    run, _ = run_in_the_middle()
    other = new_run(run.workflow)
    new_node_execution(other, "waiting")
    run.cancel()
    assert statuses(other) == {"waiting": "pending"}


@pytest.mark.parametrize("verb", ["cancel", "fail", "complete"])
def test_a_run_whose_nodes_cannot_be_settled_does_not_end(verb: str) -> None:
    run, _ = run_with("waiting")
    before = values(run)
    sql("""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no settling'; END $$""")
    sql("CREATE TRIGGER refuse BEFORE UPDATE ON node_executions FOR EACH ROW EXECUTE FUNCTION refuse()")
    with pytest.raises(DatabaseError, match="no settling"):
        act(run, verb)
    assert values(run) == before


# --- retry -------------------------------------------------------------------
def test_a_retried_node_is_pending_and_knows_nothing_of_its_failure() -> None:
    row = node_execution_in("failed")
    row.retry()
    found = fresh(row)
    assert (found.status, found.retry_count) == ("pending", 1)
    assert (found.started_at, found.ended_at, found.output_data) == (None, None, None)
    assert (found.error_message, found.error_traceback) == (None, None)


def test_every_failed_attempt_of_a_node_stays_readable_after_it_completed() -> None:
    row = node_execution_in("pending")
    for error in ("first", "second", "third"):
        row.start()
        row.fail(error)
        row.retry()
    row.start()
    row.complete()
    assert fresh(row).retry_count == 3
    errors = set(fresh(row).attempts.filter(error_message__isnull=False).values_list("error_message", flat=True))
    assert errors == {"first", "second", "third"}


def test_a_retried_run_resets_what_was_skipped_or_cancelled_and_leaves_what_completed() -> None:
    run, rows = failed_run()
    before = values(rows["done"])
    run.retry()
    assert statuses(run) == {"done": "completed", "bad": "pending", "busy": "pending", "waiting": "pending"}
    assert values(rows["done"]) == before
    for name in ("busy", "waiting"):
        row = fresh(rows[name])
        assert (row.started_at, row.ended_at, row.error_message) == (None, None, None)


def test_a_retried_run_resets_what_the_engine_skipped_because_a_node_before_it_failed() -> None:
    workflow = new_workflow()
    bad, after, last = (new_node(workflow, name) for name in ("bad", "after", "last"))
    new_edge(bad, after)
    new_edge(after, last)
    run, rows = run_with("bad", "after", "last", workflow=workflow)
    for name, verb in (("bad", "start"), ("bad", "fail"), ("after", "skip"), ("last", "skip")):
        act(rows[name], verb)
    run.fail("a node failed")
    run.retry()
    assert statuses(run) == {"bad": "pending", "after": "pending", "last": "pending"}


def test_a_retried_run_can_be_run_to_its_end() -> None:
    run, rows = failed_run()
    run.retry()
    run.start()
    for name in ("bad", "busy", "waiting"):
        row = fresh(rows[name])
        row.start()
        row.complete()
    run.complete({"ok": True})
    assert set(statuses(run).values()) == {"completed"}
    assert (fresh(run).status, fresh(run).output_data) == ("completed", {"ok": True})
