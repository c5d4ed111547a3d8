"""A run shows the names that its nodes had in it, whatever they are called later."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from executions import run_graph
from executions.admin.runs import compare
from executions.models import NodeExecution
from executions.tests.factories import ExecutionLogFactory, WorkflowExecutionFactory, in_state
from workflows.models import Node, Workflow
from workflows.tests.factories import NodeFactory, WorkflowFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def workflow(staff: Any) -> Workflow:
    return WorkflowFactory(owner=staff, chain=["extract", "load"])


def swap(workflow: Workflow) -> None:
    extract, load = workflow.nodes.get(name="extract"), workflow.nodes.get(name="load")
    extract.name, load.name = "load", "extract"
    Node.objects.bulk_update([extract, load], ["name"])


def failed_run(workflow: Workflow) -> Any:
    """Return a run of which `extract` completed and `load` failed, with a line of each."""
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    for node in workflow.nodes.order_by("name"):
        row = in_state(run.add_node(node), "running")
        ExecutionLogFactory(workflow_execution=run, node_execution=row, message=f"line of {node.name}")
        row.complete() if node.name == "extract" else row.fail("no room")
    run.fail("load failed")
    return run


def test_a_renamed_node_keeps_its_name_in_old_runs(workflow: Workflow, staff: Any) -> None:
    run = failed_run(workflow)
    row = run.node_executions.get(status="failed")
    swap(workflow)
    client = Client()
    client.force_login(staff)

    def got(address: str, *args: Any, query: str = "") -> str:
        response = client.get(reverse(address, args=args) + query)
        assert response.status_code == 200
        return b"".join(response).decode()

    page = "admin:executions_workflowexecution_change"
    shown = got(page, run.pk)
    assert "load failed" in shown[shown.index("ledger-error") :][:2_000]
    nodes = shown[shown.index(f'id="node-{row.pk}"') :]
    assert f'<a href="?node={row.pk}#node">load</a>' in nodes[: nodes.index("</tr>")]
    assert 'id="node-title">load<' in got(page, run.pk, query=f"?node={row.pk}")
    assert "<title>load · " in got("admin:executions_nodeexecution_change", row.pk)
    assert re.search(r">load</a></td><td[^>]*>(?!.*line of extract)[^\n]*line of load", shown)
    history = shown[shown.index('id="history') :]
    assert f'<a href="?node={row.pk}#node">load</a>' in history
    log = got("admin:executions_logs", run.pk)
    assert f'<option value="{row.pk}">load</option>' in log
    assert "[load] line of load" in got("admin:executions_log_download", run.pk, query="?format=text")
    assert (
        "load"
        in got("admin:executions_nodeexecution_changelist", query=f"?q={row.pk}").partition("field-node_name")[2][:200]
    )
    assert str(row).startswith("load")
    assert {each["id"]: each["name"] for each in run_graph.of_run(run).nodes}[str(row.node_id)] == "load"


def test_the_api_and_a_comparison_say_the_names_of_the_run(workflow: Workflow, staff: Any) -> None:
    run = failed_run(workflow)
    row = run.node_executions.get(status="failed")
    swap(workflow)
    client = APIClient()
    client.force_authenticate(staff)
    assert client.get(f"/api/v1/node-executions/{row.pk}/").json()["node_name"] == "load"
    names = [each["node_name"] for each in client.get(f"/api/v1/executions/{run.pk}/nodes/").json()["results"]]
    assert names == ["extract", "load"]
    compared = compare.compare_with(staff, run, run)
    assert compared is not None
    assert {pair.name: pair.now.pk for pair in compared.pairs}["load"] == row.pk


@pytest.mark.parametrize("door", ["verb", "bulk", "sql"])
def test_every_door_names_it_as_the_run_remembers(workflow: Workflow, door: str) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    node = workflow.nodes.get(name="load")
    swap(workflow)
    if door == "verb":
        assert run.add_node(node).node_name == "load"
    elif door == "bulk":
        NodeExecution.objects.bulk_create(
            [NodeExecution(workflow_execution=run, node=node, execution_order=0, node_name="forged")]
        )
    else:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO node_executions (workflow_execution_id, node_id, execution_order) VALUES (%s, %s, 0)",
                [run.pk, node.pk],
            )
    assert run.node_executions.get().node_name == "load"


def test_no_update_changes_it(workflow: Workflow) -> None:
    row = failed_run(workflow).node_executions.get(status="failed")
    NodeExecution.objects.filter(pk=row.pk).update(node_name="forged")
    row.refresh_from_db()
    assert row.node_name == "load"


def test_a_node_that_comes_later_renames_no_other(workflow: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    extract = workflow.nodes.get(name="extract")
    run.add_node(extract)
    swap(workflow)
    run.add_node(NodeFactory(workflow=workflow, name="late"))
    run.refresh_from_db()
    names = {node["id"]: node["name"] for node in run.graph.nodes}
    assert names[str(extract.pk)] == "extract"
    assert "late" in names.values()


def test_a_square_of_the_grid_says_the_name_that_the_node_had(workflow: Workflow, staff: Any) -> None:
    row = failed_run(workflow).node_executions.get(status="failed")
    swap(workflow)
    client = Client()
    client.force_login(staff)
    text = client.get(reverse("admin:workflows_workflow_page", args=[workflow.pk])).text
    renamed = re.search(rf'<span class="grid-name">extract</span>.*?node={row.pk}#node" title="([^"]*)"', text)
    assert renamed
    assert renamed[1].startswith("load · failed")
