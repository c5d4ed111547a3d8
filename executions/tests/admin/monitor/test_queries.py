"""Queries of the front page: how many, of which columns, by which index."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions.admin.monitor import front_page, recent_errors
from executions.models import WorkflowExecution
from executions.tests.admin.monitor.front_page import FRONT, ended_run, failed_at, sort_into_groups
from executions.tests.database.test_schema import rows
from executions.tests.factories import WorkflowExecutionFactory, in_state
from executions.tests.query_plans import plan, uses
from ledgerkit.tests.clients import client_of
from workflows.tests.factories import WorkflowFactory


class TestQueries:
    @pytest.mark.slow
    def test_as_many_questions_for_many_rows_as_for_few(self, staff: Any) -> None:
        client = client_of(staff)

        def fill(number: int) -> None:
            for _ in range(number):
                flow = WorkflowFactory()
                failed_at("load", "went wrong", flow)
                sort_into_groups(failed_at("load", f"went {flow.name}", flow))
                ended_run("completed", timedelta(hours=1), flow)
                in_state(WorkflowExecutionFactory(workflow=flow), "running")
                WorkflowExecutionFactory(workflow=flow)

        fill(2)
        client.get(FRONT)
        with CaptureQueriesContext(connection) as few:
            client.get(FRONT)
        fill(20)
        with CaptureQueriesContext(connection) as many:
            client.get(FRONT)
        # Four of them for each section, and for notices of other apps, and the age of the last upkeep.
        assert len(many) == len(few) <= 78

    def test_no_payload_is_read(self, staff: Any) -> None:
        sort_into_groups(failed_at("load", "went wrong", WorkflowFactory()))
        failed_at("load", "went wrong", WorkflowFactory())
        with CaptureQueriesContext(connection) as queries:
            client_of(staff).get(FRONT)
        sql = "\n".join(query["sql"] for query in queries)
        assert not re.search(r'input_data|output_data|error_traceback|"context"', sql)

    def test_what_is_counted_of_a_period_is_counted_in_the_index_alone(self, only: Any) -> None:
        ended_run("completed", timedelta(hours=1))
        only("workflow_executions", "idx_workflow_executions_ended")
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_bitmapscan = off")
        period = "ended_at >= now() - interval '1 hour' AND ended_at < now()"
        found = " ".join(line for (line,) in rows(f"EXPLAIN SELECT * FROM ended_runs WHERE {period}"))
        assert "Index Only Scan using idx_workflow_executions_ended on" in found
        assert "Index Cond: ((ended_at >= " in found

    @pytest.mark.parametrize("function", ["ended_runs_by_hour(%s)", "usual_durations(%s, NULL)"])
    def test_of_the_runs_only_those_of_open_hours_are_read(self, only: Any, function: str) -> None:
        ended_run("completed", timedelta(hours=1))
        only("workflow_executions", "idx_workflow_executions_ended")
        scans = "pg_stat_get_xact_numscans('workflow_executions'::regclass), pg_stat_get_xact_numscans(%s::regclass)"
        [(table, index)] = rows(f"SELECT {scans}", "idx_workflow_executions_ended")
        rows(f"SELECT * FROM {function}", timezone.now() - timedelta(days=7))
        assert rows(f"SELECT {scans}", "idx_workflow_executions_ended") == [(table, index + 1)]

    def test_failed_runs_are_found_by_their_end_and_those_without_a_group_among_the_newest(
        self, only: Any, staff: Any
    ) -> None:
        failed_at("load", "went wrong", WorkflowFactory())
        only("workflow_executions", "idx_workflow_executions_failed")
        with CaptureQueriesContext(connection) as queries:
            recent_errors.failed_runs(staff)
        counted, *of_groups, of_nodes = (query["sql"] for query in queries if query["sql"].startswith("SELECT"))
        for sql in (counted, *of_groups):
            found = " ".join(line for (line,) in rows(f"EXPLAIN {sql}"))
            assert uses(found, "idx_workflow_executions_failed")
            assert "Index Cond: (ended_at >=" in found
        assert all("error_occurrence_once" in str(rows(f"EXPLAIN {sql}")) for sql in of_groups)
        assert "= ANY" in of_nodes  # one array, however many

    def test_completed_runs_with_failed_nodes_are_counted_in_an_index_of_these(self, only: Any, staff: Any) -> None:
        only("workflow_executions", "idx_workflow_executions_completed_failed_nodes")
        with CaptureQueriesContext(connection) as queries:
            front_page.completed_with_failed_nodes(staff)
        found = " ".join(line for (line,) in rows(f"EXPLAIN {queries[-1]['sql']}"))
        assert uses(found, "idx_workflow_executions_completed_failed_nodes")
        assert "Index Cond: (ended_at >=" in found
        assert "Filter" not in found

    def test_what_waits_is_read_off_its_own_index_the_oldest_first(self, only: Any) -> None:
        only("workflow_executions", "idx_workflow_executions_waiting")
        found = plan(WorkflowExecution.objects.filter(status="pending").order_by("created_at", "id")[:10])
        assert uses(found, "idx_workflow_executions_waiting")
        assert "Sort" not in found
