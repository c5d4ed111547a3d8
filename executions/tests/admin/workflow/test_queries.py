"""Queries of the page of a workflow, and its text if they exceed their time limit."""

import re
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from executions import limits
from executions.admin.filters import recent_runs
from executions.admin.workflow import graph_changes, node_health, status_grid
from executions.models import WorkflowExecution
from executions.tests.admin.test_query_timeouts import lock_table
from executions.tests.admin.workflow.workflow_page import address, run_in_states, section
from executions.tests.query_plans import plan, uses
from ledgerkit.db import keyset
from ledgerkit.db.models import uuid7
from ledgerkit.tests.clients import client_of
from workflows.models import Graph, Workflow
from workflows.tests.factories import NodeFactory, UserFactory, WorkflowFactory

MARKUP = "<script>alert(1)</script>"


@pytest.mark.django_db(transaction=True)
class TestTooSlow:
    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(limits, "WORKFLOW_PAGE_MS", 100)

    def test_a_part_that_takes_too_long_says_so_and_the_others_are_there(self, workflow: Workflow) -> None:
        staff = UserFactory(is_staff=True, is_superuser=True)
        run_in_states(workflow)
        client = client_of(staff)
        with lock_table("node_executions"):
            text = client.get(address(workflow)).content.decode()
        assert "This could not be counted in time." in section(text, "grid")
        assert "This could not be counted in time." in section(text, "graph")
        assert "The newest run that has started." in section(text, "durations")
        assert "has not run yet" not in text

    def test_runs_that_are_not_found_in_time_are_not_taken_for_none(self, workflow: Workflow) -> None:
        staff = UserFactory(is_staff=True, is_superuser=True)
        client = client_of(staff)
        with lock_table("workflow_executions"):
            response = client.get(address(workflow))
        text = response.content.decode()
        assert response.status_code == 503
        assert "did not find the runs of this workflow in time" in text
        assert "has not run yet" not in text


class TestQueries:
    @pytest.mark.slow
    def test_as_many_questions_for_many_runs_and_nodes_as_for_few(self, staff: Any) -> None:
        client = client_of(staff)

        def count_queries(workflow: Workflow) -> int:
            client.get(address(workflow))
            with CaptureQueriesContext(connection) as queries:
                assert client.get(address(workflow)).status_code == 200
            assert not any("input_data" in query["sql"] or "traceback" in query["sql"] for query in queries)
            assert not any("DISTINCT" in query["sql"] or 'error_message"' in query["sql"] for query in queries)
            return len(queries)

        few, many = WorkflowFactory(chain=["a"]), WorkflowFactory(chain=[f"node {n}" for n in range(12)])
        for workflow, number in ((few, 2), (many, 12)):
            for each in range(number):
                run_in_states(workflow)
                if each in {0, 5, 9}:
                    NodeFactory(workflow=workflow)
        assert count_queries(few) == count_queries(many)

    def test_runs_are_read_off_their_index_newer_and_older(self, only: Any, staff: Any, workflow: Workflow) -> None:
        key = keyset.key_of(recent_runs.ORDER, run_in_states(workflow))
        only("workflow_executions", "idx_workflow_executions_workflow")
        for where, order in (
            (Q(), recent_runs.ORDER),
            (keyset.after(recent_runs.ORDER, key), recent_runs.ORDER),
            (keyset.before(recent_runs.ORDER, key), ("created_at", "id")),
        ):
            found = plan(
                recent_runs.first_rows(WorkflowExecution.objects.visible_to(staff), workflow.pk, where, order, 51)
            )
            assert uses(found, "idx_workflow_executions_workflow")
            assert re.search(r"Index Cond: \(+workflow_id", found)

    def test_squares_and_numbers_are_read_by_the_run(self, only: Any, staff: Any, workflow: Workflow) -> None:
        run = run_in_states(workflow)
        only("node_executions", "idx_node_executions_workflow_execution")
        for question in (
            status_grid.node_executions_of(staff, [run]),
            node_health.count_executions(staff, node_health.Window(workflow.pk, [run.pk])),
        ):
            found = plan(question)
            assert "Index Cond: (workflow_execution_id" in found  # its own, or that of its unique constraint


def test_changes_are_told_from_runs_that_remember_a_graph() -> None:
    first, second = Graph(pk=uuid7()), Graph(pk=uuid7())
    runs = [WorkflowExecution(graph=graph) for graph in (second, second, None, first, first, second)]  # newest first
    assert [(change.number, change.run) for change in graph_changes.find_changes(runs)] == [(2, runs[1]), (1, runs[4])]
