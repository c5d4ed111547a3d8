"""Races with real threads and connections, and the deletion of a run with 100,000 log lines."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions.exceptions import ConcurrentExecution, InvalidTransition
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.tests.acceptance import (
    act,
    fresh,
    new_node_execution,
    new_run,
    new_workflow,
    node_execution_in,
    race,
    run_in,
    sql,
    statuses,
    uuid7,
    values,
)

pytestmark = pytest.mark.django_db(transaction=True)

Row = WorkflowExecution | NodeExecution
ROUNDS = 15
MANY_LINES = """
    INSERT INTO execution_logs (id, workflow_execution_id, level, message)
    SELECT overlay(%s placing lpad(to_hex(line), 12, '0') from 25)::uuid, %s, 'info', 'line ' || line
    FROM generate_series(1, %s) AS line
"""


def copies[R: Row](row: R, count: int) -> Iterator[R]:
    return (fresh(row) for _ in range(count))


def refused(outcomes: list[Any], refusal: type[Exception]) -> int:
    """How many were refused so; nobody may have been refused otherwise."""
    refusals = [outcome for outcome in outcomes if outcome is not None]
    assert all(isinstance(outcome, refusal) for outcome in refusals), refusals
    return len(refusals)


def insisting(row: Row, verb: str, over: threading.Event) -> Callable[[], str | None]:
    """Try a verb until it wins or the row has ended: the verb that won, or nothing."""

    def insist() -> str | None:
        while not over.is_set():
            try:
                act(row, verb)
            except InvalidTransition:
                continue
            if verb != "start":
                over.set()
            return verb
        return None

    return insist


# --- one winner --------------------------------------------------------------
def test_a_started_run_is_running_for_every_connection() -> None:
    run = new_run()
    run.start()
    assert {row["status"] for row in race([partial(values, run)] * 4)} == {"running"}


@pytest.mark.parametrize("make", [run_in, node_execution_in])
def test_of_32_threads_that_start_one_row_exactly_one_wins(make: Callable[[str], Row]) -> None:
    row = make("pending")
    outcomes = race(one.start for one in copies(row, 32))
    assert refused(outcomes, InvalidTransition) == 31
    assert fresh(row).status == "running"
    assert all("running" in str(outcome) for outcome in outcomes if outcome)


@pytest.mark.parametrize("make", [run_in, node_execution_in])
def test_of_32_threads_that_retry_one_row_exactly_one_wins(make: Callable[[str], Row]) -> None:
    row = make("failed")
    outcomes = race(one.retry for one in copies(row, 32))
    assert refused(outcomes, InvalidTransition) == 31
    found = fresh(row)
    assert found.status == "pending"
    assert found.attempts.filter(error_message="boom").count() == 1
    if isinstance(found, NodeExecution):
        assert found.retry_count == 1


@pytest.mark.parametrize("make", [run_in, node_execution_in])
def test_of_64_threads_that_race_one_row_to_its_end_each_step_has_one_winner(make: Callable[[str], Row]) -> None:
    row, over = make("pending"), threading.Event()
    verbs = [verb for verb in ("start", "complete", "fail", "cancel") for _ in range(16)]
    acts = [insisting(one, verb, over) for one, verb in zip(copies(row, 64), verbs, strict=True)]
    won = Counter(verb for verb in race(acts) if verb)
    found = fresh(row)
    [ending] = won.keys() - {"start"}
    assert found.status == {"complete": "completed", "fail": "failed", "cancel": "cancelled"}[ending]
    assert won[ending] == 1
    assert won["start"] == (1 if found.started_at else 0)
    assert found.ended_at is not None


@pytest.mark.parametrize("make", [run_in, node_execution_in])
def test_of_64_threads_that_end_one_running_row_exactly_one_wins(make: Callable[[str], Row]) -> None:
    row = make("running")
    verbs = [verb for verb in ("complete", "fail", "cancel", "start") for _ in range(16)]
    outcomes = race(partial(act, one, verb) for one, verb in zip(copies(row, 64), verbs, strict=True))
    assert refused(outcomes, InvalidTransition) == 63
    winner = verbs[outcomes.index(None)]
    assert fresh(row).status == {"complete": "completed", "fail": "failed", "cancel": "cancelled"}[winner]
    assert (fresh(row).error_message == "boom") is (winner == "fail")


# --- one running run per workflow --------------------------------------------
def test_of_two_runs_of_a_workflow_started_at_once_one_meets_concurrent_execution() -> None:
    for _ in range(ROUNDS):
        workflow = new_workflow()
        runs = [new_run(workflow), new_run(workflow)]
        outcomes = race(run.start for run in runs)
        assert refused(outcomes, ConcurrentExecution) == 1
        assert sorted(fresh(run).status for run in runs) == ["pending", "running"]


def test_of_32_runs_of_a_workflow_started_at_once_one_runs() -> None:
    workflow = new_workflow()
    runs = [new_run(workflow) for _ in range(32)]
    assert refused(race(run.start for run in runs), ConcurrentExecution) == 31
    assert WorkflowExecution.objects.filter(status="running").count() == 1


# --- a run and its nodes -----------------------------------------------------
@pytest.mark.parametrize("verb", ["cancel", "fail"])
def test_a_run_that_ends_while_its_nodes_start_leaves_none_running(verb: str) -> None:
    for _ in range(ROUNDS):
        run = new_run()
        rows = [new_node_execution(run, name, 0) for name in "abcdef"]
        run.start()
        outcomes = race([partial(act, run, verb), *(row.start for row in rows)])
        refused(outcomes, InvalidTransition)
        assert outcomes[0] is None
        assert set(statuses(run).values()) <= {"cancelled", "skipped"}


@pytest.mark.parametrize("verb", ["cancel", "fail"])
def test_a_run_that_ends_while_its_nodes_complete_keeps_what_they_reported(verb: str) -> None:
    for _ in range(ROUNDS):
        run = new_run()
        rows = [new_node_execution(run, name, 0) for name in "abcdef"]
        run.start()
        for row in rows:
            row.start()
        outcomes = race([partial(act, run, verb), *(row.complete for row in rows)])
        refused(outcomes, InvalidTransition)
        expected = ["completed" if outcome is None else "cancelled" for outcome in outcomes[1:]]
        assert [fresh(row).status for row in rows] == expected


def test_a_run_never_completes_over_a_node_that_starts_meanwhile() -> None:
    for _ in range(ROUNDS):
        run = new_run()
        row = new_node_execution(run)
        run.start()
        ended, started = race([run.complete, row.start])
        assert (ended is None) is not (started is None)
        assert (fresh(run).status, fresh(row).status) in {("completed", "skipped"), ("running", "running")}


def test_a_save_that_races_a_transition_never_undoes_it() -> None:
    for _ in range(ROUNDS):
        run = new_run()
        stale = fresh(run)
        stale.input_data = {"market": "KOSPI"}
        started, saved = race([run.start, stale.save])
        found = fresh(run)
        assert None in (started, saved)
        assert (found.status == "running") is (started is None)
        assert (found.input_data == {"market": "KOSPI"}) is (saved is None)


def test_a_run_and_its_node_retried_at_once_retry_the_node_once() -> None:
    for _ in range(ROUNDS):
        node_execution = node_execution_in("failed")
        run = fresh(node_execution.workflow_execution)
        run.fail("boom")
        outcomes = race([*(one.retry for one in copies(node_execution, 4)), *(one.retry for one in copies(run, 4))])
        refused(outcomes, InvalidTransition)
        assert fresh(run).status == fresh(node_execution).status == "pending"
        assert fresh(node_execution).retry_count == node_execution.attempts.count() == 1


# --- 100,000 lines -----------------------------------------------------------
def run_with_lines(count: int) -> WorkflowExecution:
    run = run_in("completed")
    sql(MANY_LINES, str(uuid7()), run.id, count)
    assert run.logs.count() == count
    return run


def statements_of_deleting(run: WorkflowExecution) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        run.delete()
    return [query["sql"] for query in captured.captured_queries]


def test_deleting_a_run_with_100000_lines_is_one_delete_that_loads_none_of_them() -> None:
    few, many = run_with_lines(1), run_with_lines(100_000)
    of_few, of_many = statements_of_deleting(few), statements_of_deleting(many)
    assert len(of_few) == len(of_many) <= 5
    assert sum("DELETE" in statement for statement in of_many) == 1
    assert not any("execution_logs" in statement for statement in of_many)
    assert not ExecutionLog.objects.exists()
