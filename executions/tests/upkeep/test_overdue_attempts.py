"""Attempts that upkeep ends: their lease expired, or their time-out is exceeded."""

import json
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone

from executions.exceptions import InvalidTransition
from executions.models import HistoryEntry, NodeExecution, WorkflowExecution
from executions.tests.acceptance import fresh, race
from executions.tests.attention import ago
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state, startable
from executions.upkeep import overdue_attempts
from executions.upkeep.error_logging import UnchangedRuns, log_unchanged_runs
from executions.upkeep.overdue_attempts import end_overdue
from pastetrader.tests.proofs import times
from workflows.tests.factories import NodeFactory

ROWS = pytest.mark.parametrize("factory", [WorkflowExecutionFactory, NodeExecutionFactory])


def leased(factory: Any, **fields: Any) -> tuple[Any, UUID]:
    """Return a running row, and the token of its lease of 60 seconds."""
    row = startable(factory(**fields))
    return row, row.start(worker="worker-3", lease_seconds=60)


def silent_for(row: Any, seconds: int) -> None:
    """Set the last heartbeat to so many seconds ago."""
    now = timezone.now()
    ends = {"heartbeat_at": now - timedelta(seconds=seconds), "expires_at": now - timedelta(seconds=seconds - 60)}
    row.leases_of_attempts().filter(attempt=row.attempt).update(**ends)


def started_at(row: Any, moment: datetime) -> None:
    type(row).objects.filter(pk=row.pk).update(started_at=moment)


@ROWS
@pytest.mark.django_db
def test_an_attempt_whose_lease_expired_fails_with_the_reason(factory: Any) -> None:
    row, token = leased(factory)
    silent_for(row, 90)
    assert end_overdue() == (1, 0)
    row = fresh(row)
    assert (row.status, row.error_code) == ("failed", "lease_expired")
    assert (
        row.error_message == "The lease of worker-3 expired: no heartbeat for 90 seconds, with a lease of 60 seconds."
    )
    entry = HistoryEntry.objects.filter(to_status="failed").get()
    assert (entry.username, entry.act) == ("upkeep", "fail")
    with pytest.raises(InvalidTransition, match="the lease of this attempt expired"):
        row.complete(token=token)


@ROWS
@pytest.mark.django_db
def test_the_log_names_each_attempt_that_was_ended(
    factory: Any, caplog: pytest.LogCaptureFixture, django_capture_on_commit_callbacks: Any
) -> None:
    row, _token = leased(factory)
    silent_for(row, 90)
    with django_capture_on_commit_callbacks(execute=True):
        end_overdue()
    line = f"Upkeep ended attempt 1 of {type(row).__name__} {row.pk}: lease_expired."
    assert [record.getMessage() for record in caplog.records if "Upkeep ended" in record.getMessage()] == [line]


@ROWS
@pytest.mark.django_db
def test_a_heartbeat_in_time_saves_the_attempt(factory: Any) -> None:
    row, token = leased(factory)
    silent_for(row, 90)
    found = overdue_attempts._overdue()
    row.heartbeat(token)
    assert [overdue_attempts._end(each) for each in found] == [False]
    assert end_overdue() == (0, 0)
    assert fresh(row).status == "running"


@ROWS
@pytest.mark.django_db
def test_an_attempt_that_has_ended_meanwhile_stays_as_it_is(factory: Any) -> None:
    row, _token = leased(factory)
    silent_for(row, 90)
    found = overdue_attempts._overdue()
    row.complete()
    with pytest.raises(InvalidTransition):
        overdue_attempts._end(found[0])
    assert fresh(row).status == "completed"
    assert fresh(row).leases_of_attempts().get().lapsed_at is None


@pytest.mark.django_db
@pytest.mark.parametrize("statement", ["SELECT 1 / 0", ""], ids=["of the database", "of the code"])
def test_a_row_that_cannot_be_ended_holds_up_no_other(statement: str, monkeypatch: Any, caplog: Any) -> None:
    rows = sorted((leased(WorkflowExecutionFactory)[0] for _ in range(3)), key=lambda row: row.pk)
    for row in rows:
        silent_for(row, 90)
    fail_overdue = WorkflowExecution.fail_overdue

    def fail(row: WorkflowExecution, *arguments: Any) -> None:
        if row.pk == rows[0].pk:
            with connection.cursor() as cursor:
                cursor.execute(statement or "SELECT 1")
            raise KeyError("metadata")
        fail_overdue(row, *arguments)

    monkeypatch.setattr(WorkflowExecution, "fail_overdue", fail)
    monkeypatch.setattr(log_unchanged_runs, "kinds", {})
    assert end_overdue() == (2, 0)
    assert [fresh(row).status for row in rows] == ["running", "failed", "failed"]
    assert end_overdue() == (0, 0)  # ten seconds later: the log says it once a minute
    assert "KeyError" in caplog.text or "DivisionByZero" in caplog.text
    assert caplog.messages == [
        f"Upkeep could not change runs that are over time, or nodes of theirs (1): {rows[0].pk}."
    ]
    assert caplog.records[0].levelname == "ERROR"


@pytest.mark.django_db
def test_each_row_that_cannot_be_ended_is_in_the_log(monkeypatch: Any, caplog: Any) -> None:
    errors: dict[UUID, Exception] = {
        leased(WorkflowExecutionFactory)[0].pk: error for error in (KeyError("a"), KeyError("b"), ValueError("c"))
    }
    for row in WorkflowExecution.objects.all():
        silent_for(row, 90)

    def fail(row: WorkflowExecution, *_arguments: Any) -> None:
        raise errors[row.pk]

    monkeypatch.setattr(WorkflowExecution, "fail_overdue", fail)
    monkeypatch.setattr(log_unchanged_runs, "kinds", {})
    for _ in range(2):
        assert end_overdue() == (0, 0)
    first, second, third = errors
    sentence = "Upkeep could not change runs that are over time, or nodes of theirs (%s): %s."
    pair = ", ".join(map(str, sorted([first, second])))
    assert sorted(caplog.messages) == [sentence % (1, third), sentence % (2, pair)]


def test_of_thousands_of_rows_twenty_are_named(monkeypatch: Any, caplog: Any) -> None:
    monkeypatch.setattr(log_unchanged_runs, "kinds", {})
    runs = UnchangedRuns("end")
    for _ in range(5_000):
        runs.add(uuid4(), OSError("No space left on device"))
    runs.log()
    assert "nodes of theirs (5000): " in caplog.text
    assert caplog.messages[0].count("-") == 20 * 4
    assert "No space left" in caplog.text


@ROWS
@pytest.mark.django_db
def test_without_lease_and_time_out_nothing_is_ended(factory: Any) -> None:
    row = startable(factory())
    row.start(worker="worker-3")
    started_at(row, ago(1_000_000))
    assert end_overdue() == (0, 0)
    assert fresh(row).status == "running"


@pytest.mark.django_db
@pytest.mark.parametrize(("seconds", "state"), [(60, "failed"), (600, "running")])
def test_a_run_fails_when_its_time_out_is_exceeded(seconds: int, state: str) -> None:
    run = in_state(WorkflowExecutionFactory(metadata={"timeout_seconds": seconds}), "running")
    started_at(run, ago(120))
    end_overdue()
    run = fresh(run)
    assert run.status == state
    if state == "failed":
        assert (run.error_code, run.error_message) == ("timed_out", "The time-out of 60 seconds was exceeded.")


@pytest.mark.django_db
@pytest.mark.parametrize(("seconds", "state"), [(60, "failed"), (600, "running"), (300, "running"), (0, "running")])
def test_a_node_fails_when_a_time_out_that_somebody_chose_is_exceeded(seconds: int, state: str) -> None:
    """Nobody may have chosen 300 seconds, the default."""
    node = in_state(NodeExecutionFactory(node__timeout_seconds=seconds), "running")
    started_at(node, ago(400 if seconds == 300 else 120))
    end_overdue()
    assert (fresh(node).status, fresh(node).error_code) == (state, "timed_out" if state == "failed" else "")
    assert fresh(node.workflow_execution).status == "running"


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["soon", True, None, {"a": 1}, 1e300, 0, -5])
def test_a_time_out_that_is_no_number_of_seconds_ends_nothing(value: Any) -> None:
    run = in_state(WorkflowExecutionFactory(), "running")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workflow_executions SET metadata = jsonb_build_object('timeout_seconds', %s::jsonb) WHERE id = %s",
            [json.dumps(value), run.pk],
        )
    started_at(run, ago(120))
    assert end_overdue() == (0, 0)


@pytest.mark.django_db
def test_a_run_whose_lease_expired_takes_its_running_nodes_with_it() -> None:
    run, _token = leased(WorkflowExecutionFactory)
    node = NodeExecutionFactory(workflow_execution=run, node=NodeFactory(workflow=run.workflow))
    token = node.start(worker="worker-3", lease_seconds=60)
    silent_for(run, 90)
    silent_for(node, 90)
    assert end_overdue() == (1, 0)
    assert (fresh(run).error_code, fresh(node).status) == ("lease_expired", "cancelled")
    with pytest.raises(InvalidTransition):
        node.complete(token=token)


@pytest.mark.django_db
def test_a_node_is_retried_after_its_delay_which_doubles() -> None:
    node = startable(NodeExecutionFactory(node__retry_config={"max_retries": 2, "delay": 100}))
    for retries, delay in ((0, 100), (1, 200)):
        node.start(lease_seconds=60)
        silent_for(node, 90)
        assert end_overdue() == (1, 0)
        for waited, retried in ((0.7 * delay, 0), (1.3 * delay, 1)):
            NodeExecution.objects.filter(pk=node.pk).update(started_at=ago(waited), ended_at=ago(waited))
            assert end_overdue() == (0, retried)
        node = fresh(node)
        assert (node.status, node.retry_count, node.error_code) == ("pending", retries + 1, "")
    node.start(lease_seconds=60)
    silent_for(node, 90)
    end_overdue()
    NodeExecution.objects.filter(pk=node.pk).update(started_at=ago(9_999), ended_at=ago(9_999))
    assert end_overdue() == (0, 0)
    assert list(node.attempts.values_list("error_code", flat=True)) == ["lease_expired"] * 2


@pytest.mark.django_db
def test_a_node_that_failed_by_itself_is_not_retried() -> None:
    node = in_state(NodeExecutionFactory(node__retry_config={"max_retries": 2, "delay": 0}), "failed")
    NodeExecution.objects.filter(pk=node.pk).update(started_at=ago(99), ended_at=ago(99))
    assert end_overdue() == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_a_run_that_somebody_holds_is_left_for_the_next_time() -> None:
    row, _token = leased(WorkflowExecutionFactory)
    silent_for(row, 90)

    def end_elsewhere() -> tuple[int, int]:
        return end_overdue()

    with transaction.atomic():
        WorkflowExecution.objects.select_for_update(no_key=True).get(pk=row.pk)
        assert race([end_elsewhere]) == [(0, 0)]
    assert end_overdue() == (1, 0)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_of_worker_heartbeat_and_upkeep_one_decides() -> None:
    """The attempt was completed, or it failed and the worker was told, in each of the races."""
    for _race in range(times(100, 1_000)):
        row, token = leased(NodeExecutionFactory)
        silent_for(row, 90)
        done, ended, again = race([partial(_complete, row, token), end_overdue, end_overdue])
        row = fresh(row)
        assert {ended[0] + again[0], int(done)} == {0, 1}
        assert (row.status, row.error_code) == (("completed", "") if done else ("failed", "lease_expired"))
        assert row.version == 3


def _complete(row: NodeExecution, token: UUID) -> bool:
    try:
        fresh(row).complete(token=token)
    except InvalidTransition:
        return False
    return True
