"""The contract's state machine: refusals, times, what is stored, stale objects. test_states walks every move."""

from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from executions.exceptions import ConcurrentExecution, InvalidTransition
from executions.models import NodeExecution, WorkflowExecution
from executions.tests.acceptance import (
    act,
    expect_refusal,
    fresh,
    new_node_execution,
    new_run,
    new_workflow,
    node_execution_in,
    run_in,
    sql,
    values,
)

pytestmark = pytest.mark.django_db


def seconds(row: WorkflowExecution | NodeExecution) -> float:
    assert row.duration_seconds is not None
    return row.duration_seconds


def run_with(*names: str) -> tuple[WorkflowExecution, dict[str, NodeExecution]]:
    """Return a running run with pending node executions of these names."""
    run = new_run()
    rows = {name: new_node_execution(run, name, order) for order, name in enumerate(names)}
    run.start()
    return run, rows


# --- refusals ----------------------------------------------------------------
def test_a_completed_run_cannot_be_started_again() -> None:
    with pytest.raises(InvalidTransition, match=r"^Cannot start execution in completed state$"):
        run_in("completed").start()


def test_a_refusal_is_a_value_error() -> None:
    assert issubclass(InvalidTransition, ValueError)
    assert issubclass(ConcurrentExecution, ValueError)


def test_a_failed_node_without_retries_left_stays_failed() -> None:
    row = node_execution_in("failed")
    sql("UPDATE node_executions SET retry_count = 3 WHERE id = %s", row.id)
    before = values(row)
    with pytest.raises(InvalidTransition, match=r"retry.*failed"):
        fresh(row).retry()
    assert values(row) == before


def test_a_run_has_no_verb_that_skips_it() -> None:
    assert not hasattr(WorkflowExecution, "skip")


# --- times -------------------------------------------------------------------
def test_starting_sets_started_at_and_ending_sets_ended_at() -> None:
    before = timezone.now() - timedelta(seconds=5)
    run = new_run()
    run.start()
    started = fresh(run).started_at
    run.complete()
    ended = fresh(run)
    assert started is not None
    assert ended.ended_at is not None
    assert ended.started_at == started
    assert before <= started <= ended.ended_at <= timezone.now() + timedelta(seconds=5)
    assert seconds(ended) >= 0


def test_a_clock_set_back_never_ends_a_run_before_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    run, rows = run_with("load")
    rows["load"].start()
    earlier = timezone.now() - timedelta(hours=1)

    def set_back() -> datetime:
        return earlier

    monkeypatch.setattr(timezone, "now", set_back)
    rows["load"].complete()
    run.complete()
    for row in (fresh(rows["load"]), fresh(run)):
        assert seconds(row) >= 0


def test_a_run_started_by_a_clock_ahead_of_ours_still_ends_after_its_start() -> None:
    run = run_in("running")
    sql("UPDATE workflow_executions SET started_at = now() + interval '1 hour' WHERE id = %s", run.id)
    fresh(run).complete()
    ended = fresh(run)
    assert ended.status == "completed"
    assert seconds(ended) >= 0


# --- what a verb stores ------------------------------------------------------
@pytest.mark.parametrize("make", [run_in, node_execution_in])
def test_an_empty_output_is_stored_as_an_empty_object(make: type) -> None:
    row = make("running")
    row.complete(output_data={})
    table = row._meta.db_table
    assert fresh(row).output_data == {}
    assert sql(f"SELECT output_data = '{{}}'::jsonb FROM {table} WHERE id = %s", row.id) == [(True,)]


@pytest.mark.parametrize("make", [run_in, node_execution_in])
def test_no_output_is_stored_as_null(make: type) -> None:
    row = make("running")
    row.complete()
    assert sql(f"SELECT output_data IS NULL FROM {row._meta.db_table} WHERE id = %s", row.id) == [(True,)]


def test_an_output_is_stored() -> None:
    run = run_in("running")
    run.complete({"ranking": ["NVDA", "AAPL"]})
    assert fresh(run).output_data == {"ranking": ["NVDA", "AAPL"]}


def test_a_failure_stores_its_message_and_its_traceback() -> None:
    run, rows = run_with("load")
    rows["load"].start()
    rows["load"].fail("bad price", "Traceback (most recent call last): ...")
    run.fail("node load failed")
    assert fresh(run).error_message == "node load failed"
    assert fresh(rows["load"]).error_message == "bad price"
    assert fresh(rows["load"]).error_traceback == "Traceback (most recent call last): ..."


def test_a_failure_of_a_node_may_come_without_a_traceback() -> None:
    row = node_execution_in("running")
    row.fail("bad price")
    assert (fresh(row).error_message, fresh(row).error_traceback) == ("bad price", None)


def test_a_failed_node_leaves_its_run_running() -> None:
    assert fresh(node_execution_in("failed").workflow_execution).status == "running"


# --- stale objects -----------------------------------------------------------
def test_a_stale_object_is_refused_with_the_state_that_was_found() -> None:
    run = new_run()
    stale = fresh(run)
    run.start()
    run.complete()
    with pytest.raises(InvalidTransition, match=r"^Cannot start execution in completed state$"):
        stale.start()
    assert fresh(run).status == "completed"


@pytest.mark.parametrize("make", [run_in, node_execution_in])
def test_a_stale_object_never_overwrites_a_newer_state_through_save(make: type) -> None:
    row = make("running")
    stale = fresh(row)
    row.complete({"rows": 5})
    before = values(row)
    stale.input_data = {"late": True}
    with expect_refusal():
        stale.save()
    assert values(row) == before


@pytest.mark.parametrize("make", [run_in, node_execution_in])
def test_a_stale_object_never_overwrites_a_newer_field_through_save(make: type) -> None:
    row = make("pending")
    stale = fresh(row)
    row.input_data = {"newer": True}
    row.save()
    stale.input_data = {"stale": True}
    with expect_refusal():
        stale.save()
    with expect_refusal():
        stale.save(update_fields=["input_data"])
    assert fresh(row).input_data == {"newer": True}


@pytest.mark.parametrize("make", [run_in, node_execution_in])
def test_a_stale_object_never_overwrites_a_newer_field_through_a_transition(make: type) -> None:
    row = make("pending")
    stale = fresh(row)
    row.input_data = {"newer": True}
    row.save()
    stale.input_data = {"stale": True}
    with suppress(InvalidTransition):
        stale.start()
    assert fresh(row).input_data == {"newer": True}


@pytest.mark.parametrize("make", [run_in, node_execution_in])
def test_a_stale_object_never_brings_a_deleted_row_back(make: type) -> None:
    row = make("pending")
    stale = fresh(row)
    row.delete()
    with expect_refusal():
        stale.save()
    assert not type(stale).objects.filter(pk=stale.pk).exists()


def test_a_transition_that_was_rolled_back_can_be_made_again() -> None:
    run = new_run()
    with suppress(KeyError), transaction.atomic():
        run.start()
        raise KeyError
    assert fresh(run).status == "pending"
    run.start()
    assert fresh(run).status == "running"


def test_an_object_that_was_saved_can_be_saved_and_moved_again() -> None:
    run = new_run()
    for market in ("KOSPI", "KOSDAQ"):
        run.input_data = {"market": market}
        run.save()
    run.start()
    run.metadata = {"priority": "high"}
    run.save()
    run.complete()
    found = fresh(run)
    assert (found.status, found.metadata, found.input_data) == ("completed", {"priority": "high"}, {"market": "KOSDAQ"})


# --- one running run per workflow --------------------------------------------
def test_a_workflow_runs_once_at_a_time() -> None:
    running = run_in("running")
    second = new_run(running.workflow)
    before = values(second)
    with pytest.raises(ConcurrentExecution):
        second.start()
    assert values(second) == before
    assert fresh(running).status == "running"


@pytest.mark.parametrize("metadata", [{}, {"allow_concurrent": False}, {"priority": "high"}])
def test_a_run_that_does_not_allow_it_never_runs_beside_another(metadata: dict[str, object]) -> None:
    workflow = new_workflow()
    new_run(workflow, metadata=metadata).start()
    with pytest.raises(ConcurrentExecution):
        new_run(workflow, metadata=metadata).start()


def test_runs_that_allow_it_run_beside_another() -> None:
    running = run_in("running")
    for _ in range(3):
        new_run(running.workflow, metadata={"allow_concurrent": True}).start()
    assert WorkflowExecution.objects.filter(status="running").count() == 4


def test_runs_of_different_workflows_run_at_once() -> None:
    for name in ("Momentum", "Reversal"):
        new_run(new_workflow(name)).start()
    assert WorkflowExecution.objects.filter(status="running").count() == 2


@pytest.mark.parametrize("verb", ["complete", "fail", "cancel"])
def test_the_next_run_starts_once_the_running_one_has_ended(verb: str) -> None:
    running = run_in("running")
    second = new_run(running.workflow)
    with pytest.raises(ConcurrentExecution):
        second.start()
    act(running, verb)
    second.start()
    assert fresh(second).status == "running"
