"""The number of rows of a list is estimated from the planner's statistics, without counting."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from workflows.tests.factories import WorkflowFactory

RUNS = "/admin/executions/workflowexecution/"
NODES = "/admin/executions/nodeexecution/"
LOGS = "/admin/executions/executionlog/"


def analyze(table: str = "workflow_executions") -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {table}")


def test_a_list_of_several_pages_says_about_how_many_there_are(client: Client) -> None:
    workflow = WorkflowFactory()
    WorkflowExecutionFactory.create_batch(123, workflow=workflow)
    analyze()
    with CaptureQueriesContext(connection) as queries:
        html = client.get(RUNS).content.decode()
    assert "about 120 workflow executions" in html
    of_runs = [query["sql"] for query in queries if 'FROM "workflow_executions"' in query["sql"]]
    assert not [sql for sql in of_runs if "COUNT(" in sql and "PERCENTILE_CONT" not in sql]


def test_the_estimate_counts_the_filtered_rows(client: Client) -> None:
    workflow = WorkflowFactory()
    WorkflowExecutionFactory.create_batch(120, workflow=workflow)
    for run in WorkflowExecutionFactory.create_batch(60, workflow=workflow):
        in_state(run, "cancelled")
    analyze()
    assert "about 60 workflow executions" in client.get(f"{RUNS}?status=cancelled").content.decode()


def test_a_list_of_one_page_needs_no_estimate(client: Client) -> None:
    WorkflowExecutionFactory.create_batch(3)
    analyze()
    assert "list-estimate" not in client.get(RUNS).content.decode()


def test_no_estimate_is_made_if_a_filter_reads_the_newest_runs_alone(client: Client) -> None:
    run = WorkflowExecutionFactory()
    NodeExecutionFactory.create_batch(51, workflow_execution=run)
    analyze("node_executions")
    assert "about 51 node executions" in client.get(NODES).content.decode()
    assert "list-estimate" not in client.get(f"{NODES}?trigger_type=manual").content.decode()


@pytest.mark.parametrize("path", [RUNS, NODES, LOGS])
def test_no_filter_looks_through_the_table_for_what_it_offers(path: str, client: Client) -> None:
    NodeExecutionFactory()
    with CaptureQueriesContext(connection) as queries:
        client.get(path)
    assert not [query["sql"] for query in queries if "DISTINCT" in query["sql"] and "DISTINCT ON" not in query["sql"]]
