"""Pending runs that nobody starts: cancelled by upkeep, if a setting says after which time."""

from functools import partial
from typing import Any

import pytest
from django.db import connection

from executions.models import HistoryEntry, WorkflowExecution
from executions.tests.acceptance import fresh, race, try_start
from executions.tests.attention import ago, ended_ago
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from executions.tests.query_plans import uses
from executions.upkeep import overdue_attempts
from executions.upkeep.overdue_attempts import expire_pending
from pastetrader.tests.proofs import times
from workflows.tests.factories import WorkflowFactory

HOUR = 3_600


@pytest.fixture(autouse=True)
def an_hour(settings: Any) -> None:
    settings.EXECUTIONS = {**settings.EXECUTIONS, "PENDING_EXPIRE_SECONDS": HOUR}


def waiting_for(seconds: float, **fields: Any) -> WorkflowExecution:
    run: WorkflowExecution = WorkflowExecutionFactory(**fields)
    WorkflowExecution.objects.filter(pk=run.pk).update(created_at=ago(seconds), updated_at=ago(seconds))
    return fresh(run)


def expire() -> int:
    return expire_pending(lambda *_: None).rows


@pytest.mark.django_db
def test_a_run_that_nobody_started_is_cancelled_with_the_reason() -> None:
    run = waiting_for(HOUR + 60)
    node = NodeExecutionFactory(workflow_execution=run)
    WorkflowExecution.objects.filter(pk=run.pk).update(updated_at=ago(HOUR + 60))
    younger = waiting_for(HOUR - 60)
    assert expire() == 1
    run = fresh(run)
    assert (run.status, run.error_code, fresh(node).status) == ("cancelled", "expired", "cancelled")
    assert run.error_message == "Nobody started it within 3600 seconds."
    entry = HistoryEntry.objects.get(workflow_execution=run, node_execution=None, to_status="cancelled")
    assert (entry.username, entry.act) == ("upkeep", "cancel")
    assert fresh(younger).status == "pending"


@pytest.mark.django_db
def test_without_the_setting_runs_wait_for_ever(settings: Any) -> None:
    settings.EXECUTIONS = {**settings.EXECUTIONS, "PENDING_EXPIRE_SECONDS": None}
    run = waiting_for(1_000_000)
    assert (overdue_attempts.plan_pending().rows, expire(), fresh(run).status) == (0, 0, "pending")


@pytest.mark.django_db
def test_a_run_that_was_retried_waits_from_then() -> None:
    run = in_state(WorkflowExecutionFactory(), "failed")
    WorkflowExecution.objects.filter(pk=run.pk).update(created_at=ago(9 * HOUR))
    run = fresh(run)
    run.retry()
    assert expire() == 0


@pytest.mark.django_db
def test_a_queued_run_waits_from_when_it_might_have_started() -> None:
    running = in_state(WorkflowExecutionFactory(workflow=WorkflowFactory()), "running")
    WorkflowExecution.objects.filter(pk=running.pk).update(created_at=ago(10 * HOUR), started_at=ago(10 * HOUR))
    queued = waiting_for(9 * HOUR, workflow=running.workflow, is_queued=True)
    assert expire() == 0
    fresh(running).complete()
    assert expire() == 0
    ended_ago(running, 10 * HOUR, 0.9 * HOUR)
    assert expire() == 0
    ended_ago(running, 10 * HOUR, 1.1 * HOUR)
    assert expire() == 1
    assert fresh(queued).error_code == "expired"


def run_beside(queued: WorkflowExecution, minutes: float, **fields: Any) -> WorkflowExecution:
    """Add a run of the same workflow that ended a minute ago, after so many minutes."""
    run: WorkflowExecution = in_state(WorkflowExecutionFactory(workflow=queued.workflow, **fields), "completed")
    ended_ago(run, 60 + 60 * minutes, 60)
    return run


@pytest.mark.django_db
def test_a_queued_run_does_not_wait_for_one_that_allows_others() -> None:
    queued = waiting_for(3 * HOUR, is_queued=True)
    run_beside(queued, minutes=175, metadata={"allow_concurrent": True})
    assert expire() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("is_queued", [True, False])
def test_a_queued_run_does_not_wait_for_one_that_was_cancelled_before_it_started(is_queued: bool) -> None:
    queued = waiting_for(3 * HOUR, is_queued=True)
    WorkflowExecutionFactory(workflow=queued.workflow, is_queued=is_queued).cancel()
    assert expire() == 1
    assert fresh(queued).error_code == "expired"


@pytest.mark.django_db
@pytest.mark.parametrize(("minutes", "number"), [(10, 1), (115, 0)])
def test_the_time_of_runs_that_took_its_slot_is_not_its_own(minutes: float, number: int) -> None:
    """Runs that are not queued may start before it: in a busy workflow one has always ended lately."""
    queued = waiting_for(2.5 * HOUR, is_queued=True)
    run_beside(queued, minutes)
    assert expire() == number


@pytest.mark.django_db
def test_the_time_of_a_run_that_took_its_slot_is_not_its_own_after_that_run_was_deleted() -> None:
    queued = waiting_for(2.5 * HOUR, is_queued=True)
    run_beside(queued, minutes=115).delete()
    assert expire() == 0
    run_beside(waiting_for(2.5 * HOUR, is_queued=True), minutes=10).delete()
    assert expire() == 1


@pytest.mark.django_db
def test_a_long_queue_hides_no_run_that_took_its_slot() -> None:
    queued = waiting_for(2.5 * HOUR, is_queued=True)
    run_beside(queued, minutes=115)
    values = {"workflow": queued.workflow, "workflow_name": "momentum", "is_queued": True, "trigger_type": "manual"}
    WorkflowExecution.objects.bulk_create([WorkflowExecution(**values) for _ in range(1_000)])
    assert expire() == 0


@pytest.mark.django_db
def test_a_run_behind_one_that_was_deleted_waits_from_then() -> None:
    head = waiting_for(3 * HOUR, is_queued=True)
    second = waiting_for(2 * HOUR, workflow=head.workflow, is_queued=True)
    head.delete()
    assert expire() == 0
    assert fresh(second).status == "pending"


@pytest.mark.django_db
def test_a_run_behind_one_that_was_deleted_while_it_was_running_waits_from_then() -> None:
    running = in_state(WorkflowExecutionFactory(workflow=WorkflowFactory()), "running")
    WorkflowExecution.objects.filter(pk=running.pk).update(created_at=ago(9 * HOUR), started_at=ago(9 * HOUR))
    waiting_for(8 * HOUR, workflow=running.workflow, is_queued=True)
    fresh(running).delete()
    assert expire() == 0


@pytest.mark.django_db
def test_the_time_of_a_run_that_took_its_slot_until_it_was_deleted_is_not_its_own() -> None:
    queued = waiting_for(2.5 * HOUR, is_queued=True)
    running = in_state(WorkflowExecutionFactory(workflow=queued.workflow), "running")
    WorkflowExecution.objects.filter(pk=running.pk).update(started_at=ago(2 * HOUR))
    fresh(running).delete()
    assert expire() == 0


@pytest.mark.django_db
def test_the_time_of_deleted_runs_that_ran_at_once_counts_once() -> None:
    queued = waiting_for(2.5 * HOUR, is_queued=True)
    for _ in range(2):
        run_beside(queued, minutes=60, metadata={"allow_concurrent": True}).delete()
    assert expire() == 1


@pytest.mark.django_db
def test_a_run_behind_it_waits_from_its_own_turn() -> None:
    head = waiting_for(3 * HOUR, is_queued=True)
    second = waiting_for(2 * HOUR, workflow=head.workflow, is_queued=True)
    assert expire() == 1
    assert (fresh(head).error_code, fresh(second).status) == ("expired", "pending")
    ended_ago(head, 3 * HOUR, 1.1 * HOUR)
    WorkflowExecution.objects.filter(pk=head.pk).update(started_at=None)
    assert expire() == 1
    assert fresh(second).error_code == "expired"


@pytest.mark.parametrize("index", ["idx_workflow_executions_status", "idx_workflow_executions_workflow"])
def test_only_pending_runs_are_read_and_the_last_ones_of_their_workflows(index: str, only: Any) -> None:
    """Indexes are used: a ledger has millions of runs that ended."""
    only("workflow_executions", index)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {overdue_attempts.PENDING}", {"seconds": HOUR, "most": 1_000})
        assert uses(" ".join(line for (line,) in cursor.fetchall()), index)


@pytest.mark.django_db
def test_a_run_that_was_started_meanwhile_runs_on() -> None:
    run = waiting_for(HOUR + 60)
    [found] = overdue_attempts._find_unstarted()
    run.start()
    assert not overdue_attempts._expire(found)
    assert fresh(run).status == "running"


@pytest.mark.django_db(transaction=True)
def test_of_engine_and_upkeep_one_decides() -> None:
    for _race in range(times(5, 200)):
        run = waiting_for(HOUR + 60)
        started, *expired = race([partial(try_start, run), expire, expire])
        assert sum(expired) + started == 1
        assert fresh(run).status == ("running" if started else "cancelled")
