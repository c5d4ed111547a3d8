"""Runs and nodes that are overdue, silent or late: by what evidence."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from executions import attention
from executions.models import WorkflowExecution
from executions.tests.acceptance import fresh
from executions.tests.admin.monitor.front_page import ended_run
from executions.tests.attention import HOURS_2, age, ago, line_of, node_in, questions, running_for
from executions.tests.database.test_schema import rows
from executions.tests.factories import (
    NodeExecutionFactory,
    WorkflowExecutionFactory,
    in_state,
    startable,
)
from executions.tests.query_plans import plan
from executions.upkeep.overdue_attempts import end_overdue
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db


class TestSilentRuns:
    def test_a_run_is_silent_an_hour_after_its_last_sign_of_life(self) -> None:
        assert questions(running_for(3_700)) == ["silent"]
        assert questions(running_for(3_500)) == []

    def test_a_run_that_waits_or_has_ended_is_never_silent(self) -> None:
        waiting = WorkflowExecutionFactory()
        WorkflowExecution.objects.filter(pk=waiting.pk).update(created_at=ago(HOURS_2))
        assert questions(waiting) == questions(ended_run("completed", timedelta(hours=2))) == []

    def test_a_line_is_a_sign_of_life_of_its_run(self) -> None:
        run = running_for(HOURS_2)
        line_of(run, 4_000)
        assert questions(run) == ["silent"]
        line_of(run, 60)
        assert questions(run) == []

    def test_a_transition_of_a_node_is_one(self) -> None:
        run = running_for(HOURS_2)
        node = node_in(run)
        assert questions(run) == []
        age(node, HOURS_2)
        assert questions(run) == ["silent"]
        node.complete()
        assert questions(run) == []

    def test_a_heartbeat_is_one(self) -> None:
        run: WorkflowExecution = WorkflowExecutionFactory()
        token = run.start(worker="worker-3", lease_seconds=60)
        run = age(run, HOURS_2)
        run.leases.update(heartbeat_at=ago(HOURS_2))
        assert questions(run) == ["silent"]
        assert token is not None
        run.heartbeat(token)
        assert questions(run) == []

    def test_the_evidence_is_the_last_sign(self) -> None:
        run = running_for(3 * HOURS_2)
        line_of(run, HOURS_2)
        [silent] = attention.findings_of_runs([run.pk])[run.pk]
        assert timezone.now() - silent.since == pytest.approx(timedelta(seconds=HOURS_2), abs=timedelta(seconds=5))

    def test_the_time_is_a_setting(self, settings: Any) -> None:
        settings.EXECUTIONS = {**settings.EXECUTIONS, "SILENT_SECONDS": 60}
        assert questions(running_for(70)) == ["silent"]

    def test_upkeep_leaves_it_running(self) -> None:
        run = running_for(1_000_000)
        assert end_overdue() == (0, 0)
        assert (fresh(run).status, questions(run)) == ("running", ["silent"])


class TestSilentNodes:
    def test_a_line_of_the_node_and_a_heartbeat_are_signs_of_life(self) -> None:
        run = running_for(HOURS_2)
        node, other = age(node_in(run), HOURS_2), age(node_in(run), HOURS_2)
        assert questions(node) == ["silent"]
        line_of(run, 60, node_execution=node)
        assert (questions(node), questions(other)) == ([], ["silent"])

    def test_a_heartbeat_of_the_run_is_one_of_its_nodes(self) -> None:
        run: WorkflowExecution = WorkflowExecutionFactory()
        run.start(worker="worker-3", lease_seconds=60)
        node = age(node_in(run), HOURS_2)
        assert questions(node) == []
        run.leases.update(heartbeat_at=ago(HOURS_2))
        assert questions(node) == ["silent"]


class TestOverdue:
    def test_a_run_is_overdue_after_its_time_out(self) -> None:
        run = running_for(120, metadata={"timeout_seconds": 60})
        [overdue] = attention.findings_of_runs([run.pk])[run.pk]
        assert (overdue.question, overdue.lease_expired, overdue.seconds) == ("overdue", False, 60)
        assert timezone.now() - overdue.since == pytest.approx(timedelta(seconds=60), abs=timedelta(seconds=5))
        assert questions(running_for(120, metadata={"timeout_seconds": 600})) == []

    @pytest.mark.parametrize("factory", [WorkflowExecutionFactory, NodeExecutionFactory])
    def test_a_row_is_overdue_after_its_lease(self, factory: Any) -> None:
        row = startable(factory())
        row.start(worker="worker-3", lease_seconds=60)
        assert questions(row) == []
        row.leases.update(expires_at=ago(30))
        assert questions(row) == ["overdue"]
        end_overdue()
        assert questions(row) == []

    def test_a_node_is_overdue_after_a_time_out_that_somebody_chose(self) -> None:
        run = in_state(WorkflowExecutionFactory(), "running")
        assert questions(age(node_in(run, timeout_seconds=60), 400)) == ["overdue"]
        assert questions(age(node_in(run, timeout_seconds=300), 400)) == []


class TestLate:
    def test_a_run_is_late_after_one_and_a_half_times_the_95th_percentile(self) -> None:
        workflow = WorkflowFactory()
        for seconds in range(81, 101):
            ended_run("completed", timedelta(hours=1), workflow, seconds)
        run = running_for(120, workflow=workflow)
        assert questions(run) == []
        run = age(run, 160)
        [late] = attention.findings_of_runs([run.pk])[run.pk]
        assert (late.question, float(late.seconds or 0)) == ("late", pytest.approx(99.05))

    def test_without_twenty_runs_nothing_is_usual(self) -> None:
        workflow = WorkflowFactory()
        for _ in range(19):
            ended_run("completed", timedelta(hours=1), workflow, 10)
        assert questions(running_for(600, workflow=workflow)) == []

    def test_a_run_of_less_than_a_minute_is_not_late(self) -> None:
        workflow = WorkflowFactory()
        for _ in range(20):
            ended_run("completed", timedelta(hours=1), workflow, 1)
        assert questions(running_for(50, workflow=workflow)) == []
        assert questions(running_for(70, workflow=WorkflowFactory())) == []


class TestPlans:
    """The functions begin with the running rows, or the pending ones, which are few, and look each of them up."""

    CALLS = (
        "overdue_runs(NULL)",
        "unstarted_runs(NULL, 3600)",
        "silent_runs(NULL, 3600)",
        "late_runs(NULL, now(), 20, 1.5, 60)",
    )

    @pytest.mark.parametrize("call", CALLS)
    def test_runs_are_found_by_their_status(self, only: Any, call: str) -> None:
        ended_run("completed", timedelta(hours=1))
        running_for(HOURS_2)
        only("workflow_executions", "idx_workflow_executions_status")
        scans = "pg_stat_get_xact_numscans('workflow_executions'::regclass), pg_stat_get_xact_numscans(%s::regclass)"
        [(table, index)] = rows(f"SELECT {scans}", "idx_workflow_executions_status")
        rows(f"SELECT * FROM {call}")
        [(table_then, index_then)] = rows(f"SELECT {scans}", "idx_workflow_executions_status")
        assert index_then > index
        assert table_then == table or "late" in call  # the percentiles are read by another index, which is not there

    @pytest.mark.parametrize("call", ["overdue_nodes(NULL, '{0}')", "silent_nodes(NULL, 3600)"])
    def test_nodes_are_found_by_their_status(self, only: Any, call: str) -> None:
        age(node_in(running_for(HOURS_2)), HOURS_2)
        only("node_executions", "idx_node_executions_status")
        scans = "pg_stat_get_xact_numscans('node_executions'::regclass), pg_stat_get_xact_numscans(%s::regclass)"
        [(table, index)] = rows(f"SELECT {scans}", "idx_node_executions_status")
        rows(f"SELECT * FROM {call}")
        assert rows(f"SELECT {scans}", "idx_node_executions_status") == [(table, index + 1)]

    @pytest.mark.parametrize("question", attention.QUESTIONS)
    def test_a_list_of_them_reads_no_other_run(self, question: str, truncated: None) -> None:
        with connection.cursor() as cursor:  # an empty table is joined in any way, as its statistics happen to be
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off")
            cursor.execute("SET LOCAL enable_mergejoin = off")
        shown = plan(
            WorkflowExecution.objects.filter(attention.run_condition(question)).order_by("-created_at", "-id")[:50]
        )
        assert "Function Scan on" in shown
        assert "using workflow_executions_pkey on" in shown
