"""Lists are exported as they are filtered: as a stream, masked as stored, harmless in a spreadsheet."""

import csv
import io
import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from executions.admin import exports
from executions.models import WorkflowExecution
from executions.tests.cast import permissions
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.tests.clients import client_of
from workflows.tests.factories import UserFactory

RUNS, NODES, LOGS = (f"/admin/executions/{name}/" for name in ("workflowexecution", "nodeexecution", "executionlog"))


@pytest.fixture(autouse=True)
def open_connection(monkeypatch: Any) -> None:
    """The stream gives its connection back after each part; that of the test has the transaction."""
    monkeypatch.setattr(exports, "connection", type("Kept", (), {"close": staticmethod(lambda: None)}))


def body(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]  # of a streaming response


def table(client: Client, address: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body(client, address).removeprefix("\ufeff"))))


def documents(client: Client, address: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body(client, address).splitlines()]


def test_runs_as_their_filters_leave_them_in_the_order_of_the_list(client: Client) -> None:
    run, other = (
        WorkflowExecutionFactory(metadata={"tags": ["a", "b"], "correlation_id": "order 17"}) for _ in range(2)
    )
    WorkflowExecutionFactory()
    in_state(run, "running").fail("went\nwrong")
    rows = table(client, f"{RUNS}?tag=a&export=csv")
    assert [row["id"] for row in rows] == [str(other.pk), str(run.pk)]
    assert (rows[1]["status"], rows[1]["error"], rows[1]["tags"]) == ("failed", "went\nwrong", "a, b")
    (row,) = documents(client, f"{RUNS}?status=failed&export=ndjson")
    assert (row["workflow"], row["tags"], row["correlation_id"]) == (run.workflow_name, ["a", "b"], "order 17")


@pytest.mark.parametrize("path", [RUNS, NODES, LOGS])
def test_each_list_is_exported_with_its_filters_by_run(client: Client, path: str) -> None:
    node = NodeExecutionFactory()
    run = node.workflow_execution
    line = ExecutionLogFactory(workflow_execution=run, node_execution=node)
    ExecutionLogFactory(workflow_execution=NodeExecutionFactory().workflow_execution)
    expected = {RUNS: run.pk, NODES: node.pk, LOGS: line.pk}[path]
    for query in (f"workflow={run.workflow_id}", "q=" + str(expected)):
        if path == RUNS and query.startswith("q="):
            continue  # leads to the page of the run
        assert [row["id"] for row in documents(client, f"{path}?{query}&export=ndjson")] == [str(expected)]


@pytest.mark.parametrize("path", [RUNS, NODES, LOGS])
def test_rows_of_several_workflows(client: Client, path: str) -> None:
    nodes = NodeExecutionFactory.create_batch(3)
    lines = [ExecutionLogFactory(workflow_execution=node.workflow_execution, node_execution=node) for node in nodes]
    chosen = lines[:2]
    query = "workflow=" + ",".join(str(line.workflow_execution.workflow_id) for line in chosen)
    attribute = {RUNS: "workflow_execution_id", NODES: "node_execution_id", LOGS: "pk"}[path]
    found = {row["id"] for row in documents(client, f"{path}?{query}&export=ndjson")}
    assert found == {str(getattr(line, attribute)) for line in chosen}


def test_no_cell_is_a_formula_and_no_character_controls_a_terminal(client: Client) -> None:
    for text in ("=1+1", "+1", "-1", "@x", "\tx"):
        in_state(WorkflowExecutionFactory(), "running").fail(f"{text}\x1b[31m")
    cells = [row["error"] for row in table(client, f"{RUNS}?status=failed&export=csv")]
    assert all(cell.startswith("'") and "\x1b" not in cell for cell in cells)


def test_an_export_reads_rows_in_batches(client: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(exports, "BATCH", 2)
    WorkflowExecutionFactory.create_batch(5)
    with CaptureQueriesContext(connection) as queries:
        found = documents(client, f"{RUNS}?view=all&export=ndjson")
    assert [row["id"] for row in found] == [str(run.pk) for run in WorkflowExecution.objects.order_by("-pk")]
    asked = [query["sql"] for query in queries if 'FROM "workflow_executions"' in query["sql"]]
    assert len([sql for sql in asked if sql.endswith("LIMIT 2")]) == 3


def test_only_what_one_may_see_and_who_did_it_is_in_the_log(db: None, caplog: Any) -> None:
    user = UserFactory(is_staff=True, username="reader")
    assert client_of(user).get(f"{RUNS}?view=all&export=csv").status_code == 403
    user.user_permissions.set(permissions("view_workflowexecution"))
    WorkflowExecutionFactory()
    with caplog.at_level("INFO", "executions.admin.exports"):
        assert len(table(client_of(user), f"{RUNS}?status=pending&export=csv")) == 1
    assert "reader exports workflowexecution as csv: status=pending" in caplog.text


@pytest.mark.parametrize("query", ["export=xls", "export=csv&status=bogus", "export=csv&bogus=1", "export=csv&q=%00"])
def test_an_invalid_parameter_of_an_export_is_named(client: Client, query: str) -> None:
    assert client.get(f"{RUNS}?{query}").status_code in {302, 400}


def test_the_list_links_to_both(client: Client) -> None:
    in_state(WorkflowExecutionFactory(), "failed")
    html = client.get(f"{RUNS}?status=failed").content.decode()
    assert 'href="?export=csv&amp;status=failed"' in html
    assert 'href="?export=ndjson&amp;status=failed"' in html
