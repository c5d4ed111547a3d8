"""Waiting and running runs on the front page."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from executions import limits
from executions.admin import duration_percentiles
from executions.models import WorkflowExecution
from executions.tests.admin.monitor.front_page import CONCURRENT, ended_run, failed_at, found, front_page_of, section
from executions.tests.factories import WorkflowExecutionFactory, in_state
from workflows.tests.factories import WorkflowFactory


class TestWaiting:
    def reason(self, staff: Any, run: WorkflowExecution) -> str:
        return next(row.reason for row in found(staff, "waiting")["rows"] if row.run == run)

    def test_behind_another_run_of_its_workflow_to_which_it_links(self, staff: Any) -> None:
        at_work = in_state(WorkflowExecutionFactory(), "running")
        run = WorkflowExecutionFactory(workflow=at_work.workflow)
        assert self.reason(staff, run) == "another"
        html = section(front_page_of(staff), "waiting")
        assert f'<a href="/admin/executions/workflowexecution/{at_work.pk}/change/">Another run</a>' in html

    def test_in_the_order_of_their_ids_if_two_were_queued_at_one_moment(self, staff: Any) -> None:
        first, second = (WorkflowExecutionFactory(workflow=flow, is_queued=True) for flow in [WorkflowFactory()] * 2)
        WorkflowExecution.objects.update(created_at=timezone.now())
        assert (first.pk < second.pk, self.reason(staff, first), self.reason(staff, second)) == (True, "turn", "queue")

    @pytest.mark.parametrize(("this", "other"), [(CONCURRENT, {}), ({}, CONCURRENT)])
    def test_where_one_of_them_may_run_beside_others_it_is_not_that(self, this: Any, other: Any, staff: Any) -> None:
        at_work = in_state(WorkflowExecutionFactory(metadata=other), "running")
        run = WorkflowExecutionFactory(workflow=at_work.workflow, metadata=this)
        assert self.reason(staff, run) == "engine"
        run.start()  # it could be, and so it was for an engine that it waited

    def test_for_its_workflow_to_be_active_or_out_of_the_trash(self, staff: Any) -> None:
        inactive = WorkflowExecutionFactory(workflow=WorkflowFactory(is_active=False))
        trashed = WorkflowExecutionFactory(workflow=WorkflowFactory(is_active=False))
        trashed.workflow.soft_delete()
        assert self.reason(staff, inactive) == "inactive"
        assert self.reason(staff, trashed) == "trash"
        html = front_page_of(staff)
        assert "Its workflow is inactive." in html
        assert "Its workflow is in the trash." in html

    def test_for_an_engine_and_for_how_long_the_oldest_first(self, staff: Any) -> None:
        young, old = WorkflowExecutionFactory(), WorkflowExecutionFactory()
        WorkflowExecution.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(minutes=5, seconds=2))
        assert [row.run.pk for row in found(staff, "waiting")["rows"]] == [old.pk, young.pk]
        html = section(front_page_of(staff), "waiting")
        assert "No engine has started it yet." in html
        assert re.search(r'<time class="clock"[^>]*>5 min \d s</time>', html)

    def test_those_that_wait_longest_are_chosen_whenever_they_were_created(self, staff: Any) -> None:
        flow, long_ago = WorkflowFactory(), timezone.now() - timedelta(hours=3)
        retried = [in_state(WorkflowExecutionFactory(workflow=flow), "failed") for _ in range(limits.FRONT_PAGE_ROWS)]
        WorkflowExecution.objects.filter(workflow=flow).update(created_at=long_ago)
        waiting = [WorkflowExecutionFactory(workflow=flow).pk for _ in range(limits.FRONT_PAGE_ROWS - 1)]
        for run in retried:
            run.refresh_from_db()
            run.retry()
        assert [row.run.pk for row in found(staff, "waiting")["rows"]] == [*waiting, retried[0].pk]

    def test_a_retried_failure_waits_with_what_it_failed_with(self, staff: Any) -> None:
        flow = WorkflowFactory()
        run = failed_at("load", "KeyError: 'close'", flow)
        created = timezone.now() - timedelta(hours=3)
        WorkflowExecution.objects.filter(pk=run.pk).update(created_at=created)
        run.refresh_from_db()
        run.retry()
        html = front_page_of(staff)
        waiting, failed = section(html, "waiting"), section(html, "failed")
        assert "Retried after the failure of load:" in waiting
        assert "KeyError: &#x27;close&#x27;" in waiting
        assert "No engine has started it yet." in waiting
        assert re.search(r'<time class="clock"[^>]*>(\d ms|\d+ ms|\d\.\d s)</time>', waiting)  # since the retry
        assert "Nothing has failed" not in failed
        assert "What failed was retried" in failed

    def test_a_retried_run_without_a_failed_node_says_its_own_error(self, staff: Any) -> None:
        run = in_state(WorkflowExecutionFactory(), "failed")
        run.retry()
        waiting = section(front_page_of(staff), "waiting")
        assert "Retried after its failure:" in waiting
        assert "went wrong" in waiting


class TestRunning:
    def test_the_longest_first_with_a_clock_and_a_word_where_it_is_slower_than_usual(self, staff: Any) -> None:
        flow = WorkflowFactory()
        for _ in range(duration_percentiles.MIN_RUNS):
            ended_run("completed", timedelta(hours=1), flow, seconds=60)
        young, old = (
            in_state(WorkflowExecutionFactory(workflow=flow, metadata=CONCURRENT), "running") for _ in range(2)
        )
        WorkflowExecution.objects.filter(pk=old.pk).update(started_at=timezone.now() - timedelta(seconds=90))
        assert [row.run.pk for row in found(staff, "running")["rows"]] == [old.pk, young.pk]
        html = section(front_page_of(staff), "running")
        assert html.count('<time class="clock"') == 2
        assert html.count('class="slow"') == 1
