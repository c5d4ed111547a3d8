"""Queued runs whose turn it is and that nobody starts: since when, and how many wait for them."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions import attention
from executions.models import WorkflowExecution
from executions.tests.acceptance import fresh
from executions.tests.attention import HOURS_2, ago, ended_ago, questions, queued_for, running_for
from executions.tests.database.test_schema import rows
from executions.tests.factories import WorkflowExecutionFactory, in_state
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db
HOUR = 3_600


def finding(run: WorkflowExecution) -> attention.Finding:
    [found] = attention.findings_of_runs([run.pk])[run.pk]
    return found


def turn_came(run: WorkflowExecution, seconds: float) -> bool:
    """Return whether the turn of the run came so many seconds ago."""
    [(since,)] = rows("SELECT turn_since(%s)", run.pk)
    return bool(abs(timezone.now() - since - timedelta(seconds=seconds)) < timedelta(seconds=5))


def ran(workflow: Workflow, started: float, ended: float, created: float | None = None, **fields: Any) -> None:
    """Add a run that ran from so many seconds ago to so many seconds ago."""
    run = in_state(WorkflowExecutionFactory(workflow=workflow, **fields), "completed")
    WorkflowExecution.objects.filter(pk=run.pk).update(created_at=ago(created or started))
    ended_ago(run, started, ended)


class TestWhichRuns:
    def test_the_first_of_a_queue_is_unstarted_after_an_hour(self, workflow: Workflow) -> None:
        assert questions(queued_for(HOUR + 60, workflow)) == ["unstarted"]
        assert questions(queued_for(HOUR - 60, WorkflowFactory())) == []

    def test_those_behind_it_are_counted_and_are_not_unstarted_themselves(self, workflow: Workflow) -> None:
        head = queued_for(3 * HOUR, workflow)
        behind = [queued_for(HOURS_2, workflow) for _ in range(2)]
        queued_for(HOURS_2, WorkflowFactory())
        assert finding(head).behind == 2
        assert [questions(run) for run in behind] == [[], []]

    def test_of_two_of_one_moment_the_lesser_id_is_first(self, workflow: Workflow) -> None:
        pair = [queued_for(HOURS_2, workflow), queued_for(HOURS_2, workflow)]
        WorkflowExecution.objects.filter(workflow=workflow).update(created_at=ago(HOURS_2), updated_at=ago(HOURS_2))
        first, second = sorted(pair, key=lambda run: run.pk)
        assert (questions(first), questions(second)) == (["unstarted"], [])

    def test_none_is_while_the_slot_of_its_workflow_is_taken(self, workflow: Workflow) -> None:
        head = queued_for(HOURS_2, workflow)
        running = running_for(60, workflow=workflow)
        assert questions(head) == []
        running.complete()
        ended_ago(running, 60, 50)
        assert questions(head) == ["unstarted"]

    def test_a_run_that_allows_others_takes_no_slot(self, workflow: Workflow) -> None:
        head = queued_for(HOURS_2, workflow)
        running_for(60, workflow=workflow, metadata={"allow_concurrent": True})
        assert questions(head) == ["unstarted"]

    def test_a_pending_run_without_a_queue_is_none(self, workflow: Workflow) -> None:
        run = WorkflowExecutionFactory(workflow=workflow)
        WorkflowExecution.objects.filter(pk=run.pk).update(created_at=ago(HOURS_2), updated_at=ago(HOURS_2))
        assert questions(run) == []

    def test_a_run_that_is_started_or_cancelled_lets_the_next_one_up(self, workflow: Workflow) -> None:
        head, second = queued_for(HOURS_2, workflow), queued_for(HOURS_2 - 60, workflow)
        head.cancel()
        assert (questions(head), questions(second)) == ([], [])
        ended_ago(head, HOURS_2, HOUR + 60)
        WorkflowExecution.objects.filter(pk=head.pk).update(started_at=None)
        assert questions(second) == ["unstarted"]
        second.start()
        assert questions(second) == []

    def test_a_workflow_that_is_inactive_or_in_the_trash_is_left_out(self, workflow: Workflow) -> None:
        head = queued_for(HOURS_2, workflow)
        Workflow.objects.filter(pk=workflow.pk).update(is_active=False)
        assert questions(head) == []
        Workflow.objects.filter(pk=workflow.pk).update(is_active=True, deleted_at=timezone.now())
        assert questions(head) == []

    def test_the_time_is_that_of_silent_runs(self, settings: Any, workflow: Workflow) -> None:
        settings.EXECUTIONS = {**settings.EXECUTIONS, "SILENT_SECONDS": 60}
        assert questions(queued_for(70, workflow)) == ["unstarted"]


class TestSinceWhen:
    def test_from_its_creation_where_nothing_was_before(self, workflow: Workflow) -> None:
        run = queued_for(HOURS_2, workflow)
        assert turn_came(run, HOURS_2)
        assert timezone.now() - finding(run).since == pytest.approx(timedelta(hours=2), abs=timedelta(seconds=5))

    def test_from_its_retry(self, workflow: Workflow) -> None:
        run = in_state(WorkflowExecutionFactory(workflow=workflow, is_queued=True), "failed")
        WorkflowExecution.objects.filter(pk=run.pk).update(created_at=ago(9 * HOUR))
        fresh(run).retry()
        assert turn_came(run, 0)

    def test_from_the_end_of_what_was_queued_before(self, workflow: Workflow) -> None:
        ran(workflow, 8 * HOUR, 5 * HOUR, created=10 * HOUR, is_queued=True)
        run = queued_for(9 * HOUR, workflow)
        assert turn_came(run, 5 * HOUR)

    def test_from_the_end_of_the_run_that_was_running_then(self, workflow: Workflow) -> None:
        run = queued_for(9 * HOUR, workflow)
        ran(workflow, 10 * HOUR, 4 * HOUR)
        assert turn_came(run, 4 * HOUR)

    def test_from_the_deletion_of_a_run_that_was_queued_before(self, workflow: Workflow) -> None:
        head, second = queued_for(9 * HOUR, workflow), queued_for(8 * HOUR, workflow)
        head.delete()
        assert turn_came(second, 0)
        assert questions(second) == []

    def test_from_the_end_of_a_run_that_was_deleted_later(self, workflow: Workflow) -> None:
        ran(workflow, 8 * HOUR, 5 * HOUR, created=10 * HOUR, is_queued=True)
        run = queued_for(9 * HOUR, workflow)
        WorkflowExecution.objects.get(status="completed").delete()
        assert turn_came(run, 5 * HOUR)

    def test_from_the_deletion_of_a_run_that_was_running(self, workflow: Workflow) -> None:
        running = running_for(9 * HOUR, workflow=workflow)
        run = queued_for(8 * HOUR, workflow)
        running.delete()
        assert turn_came(run, 0)
        assert questions(run) == []

    def test_from_the_end_of_a_deleted_run_that_was_running_when_its_turn_would_have_come(
        self, workflow: Workflow
    ) -> None:
        ran(workflow, 9 * HOUR, 7 * HOUR, created=10 * HOUR, is_queued=True)
        run = queued_for(9 * HOUR, workflow)
        ran(workflow, 8 * HOUR, 4 * HOUR, metadata={"batch": 2})
        WorkflowExecution.objects.get(metadata__batch=2).delete()
        assert turn_came(run, 4 * HOUR)

    def test_a_deletion_of_a_run_behind_it_or_of_another_workflow_changes_nothing(self, workflow: Workflow) -> None:
        run = queued_for(9 * HOUR, workflow)
        queued_for(8 * HOUR, workflow).delete()
        queued_for(10 * HOUR, WorkflowFactory()).delete()
        ran(workflow, 7 * HOUR, 60)
        WorkflowExecution.objects.get(status="completed").delete()
        assert turn_came(run, 9 * HOUR)

    def test_runs_that_it_did_not_wait_for_change_nothing(self, workflow: Workflow) -> None:
        run = queued_for(9 * HOUR, workflow)
        ran(workflow, 10 * HOUR, 60, metadata={"allow_concurrent": True})
        for hours in range(1, 8):  # a schedule that is not queued
            ran(workflow, hours * HOUR, hours * HOUR - 600)
        in_state(WorkflowExecutionFactory(workflow=workflow, is_queued=True), "cancelled")
        assert turn_came(run, 9 * HOUR)
        assert questions(run) == ["unstarted"]


class TestCost:
    def test_the_statements_do_not_grow_with_the_queues(self) -> None:
        counts = set()
        for number in (1, 5):
            for _ in range(number):
                queued_for(HOURS_2, WorkflowFactory())
            runs = [*WorkflowExecution.objects.values_list("pk", flat=True)]
            with CaptureQueriesContext(connection) as captured:
                assert len(attention.findings_of_runs(runs)) == len(runs)
            counts.add(len(captured))
        assert counts == {1}

    @pytest.mark.parametrize(
        ("table", "index", "times"),
        [
            ("workflow_executions", "idx_workflow_executions_workflow", 2),
            ("execution_deletions", "idx_execution_deletions_workflow", 1),
        ],
    )
    def test_history_and_deletions_are_read_by_the_index_of_their_workflow(
        self, only: Any, workflow: Workflow, table: str, index: str, times: int
    ) -> None:
        run = queued_for(HOURS_2, workflow)
        ran(workflow, 3 * HOUR, 3 * HOUR - 60)
        only(table, index)
        scans = "SELECT pg_stat_get_xact_numscans(%s::regclass), pg_stat_get_xact_numscans(%s::regclass)"
        [before] = rows(scans, table, index)
        rows("SELECT turn_since(%s)", run.pk)
        assert rows(scans, table, index) == [(before[0], before[1] + times)]
