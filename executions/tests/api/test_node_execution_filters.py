"""Lists of node executions and of attempts, over HTTP."""

from datetime import timedelta
from typing import Any

import pytest

from executions import limits
from executions.models import NodeExecution, WorkflowExecution
from executions.tests.api.list_requests import DAY, NODES, RUNS, at, follow_pages, found, pointers_of
from executions.tests.factories import (
    NodeExecutionFactory,
    WorkflowExecutionFactory,
    in_state,
)
from ledgerkit.db.models import uuid7
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory


# --- Node executions across runs -----------------------------------------------
def test_node_executions_across_runs_are_found_by_each_filter(
    api: Any, owner: Any, workflow: Workflow, django_assert_num_queries: Any
) -> None:
    other = WorkflowFactory(owner=owner, chain=["a"])
    fetch, rank = workflow.nodes.get(name="fetch"), workflow.nodes.get(name="rank")
    runs = WorkflowExecutionFactory.create_batch(2, workflow=workflow)
    first, second = (NodeExecutionFactory(workflow_execution=run, node=fetch) for run in runs)
    failed = in_state(NodeExecutionFactory(workflow_execution=runs[0], node=rank), "failed")
    at(second, created_at=DAY)
    elsewhere = NodeExecutionFactory(
        workflow_execution=WorkflowExecutionFactory(workflow=other), node=other.nodes.get()
    )
    NodeExecutionFactory()  # of somebody else
    client = api(owner)
    expected = {
        "": {first, second, failed, elsewhere},
        "status=failed": {failed},
        f"node={fetch.pk}": {first, second},
        f"workflow={workflow.pk}": {first, second, failed},
        f"workflow={workflow.pk},{other.pk}": {first, second, failed, elsewhere},
        f"workflow={other.pk}&workflow={uuid7()}": {elsewhere},
        f"workflow={uuid7()}": set(),
        "created_before=2026-03-02": {second},
        "q=nowhere": set(),
        "created_after=2026-03-02&status=pending": {first, elsewhere},
    }
    for query, rows in expected.items():
        assert found(client, query, NODES) == {str(row.pk) for row in rows}
    with django_assert_num_queries(3) as captured:  # the token, the owner's nodes, the rows
        rows = client.get(NODES).json()["results"]
    assert [row["id"] for row in rows][-1] == str(second.pk)
    assert not {"input_data", "output_data", "error_traceback"} & set(rows[0])
    assert '"config"' not in captured[-1]["sql"]
    assert follow_pages(client, f"{NODES}?ordering=created&page_size=1")[0]["id"] == str(second.pk)


@pytest.mark.slow
def test_the_nodes_of_a_workflow_are_merged_in_the_order_of_the_list(api: Any, owner: Any, workflow: Workflow) -> None:
    """Also where several were created at one moment, and on the way back."""
    run, nodes, client = WorkflowExecutionFactory(workflow=workflow), list(workflow.nodes.all()), api(owner)
    rows = [NodeExecutionFactory(workflow_execution=run, node=nodes[n % 3]) for n in range(9)]
    for number, row in enumerate(rows):
        at(row, created_at=DAY + timedelta(hours=number // 2))
    newest = [str(pk) for pk in NodeExecution.objects.order_by("-created_at", "-id").values_list("id", flat=True)]
    of_workflow = f"workflow={workflow.pk}&"
    for query, expected in (
        ("", newest),
        (of_workflow, newest),
        (f"{of_workflow}status=pending,completed&", newest),
        (f"{of_workflow}status=failed&", []),
    ):
        for size in (2, 3, 500):
            url = f"{NODES}?{query}page_size={size}"
            rows = follow_pages(client, url)
            assert [row["id"] for row in rows] == expected, url
            assert follow_pages(client, f"{url}&ordering=created") == rows[::-1], url


def lasting(run: WorkflowExecution, seconds: int | None, order: int = 0) -> str:
    """Return the id of a node execution that took so long, or is pending."""
    node = NodeExecutionFactory(workflow_execution=run, node=run.workflow.nodes.first(), execution_order=order)
    if seconds is not None:
        at(node, status="completed", started_at=DAY, ended_at=DAY + timedelta(seconds=seconds))
    return str(node.pk)


def test_the_nodes_of_a_run_are_ordered_by_their_duration_those_without_one_first(
    api: Any, owner: Any, workflow: Workflow
) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    long, pending, short = lasting(run, 300, 1), lasting(run, None, 2), lasting(run, 1, 3)
    client, url = api(owner), f"{RUNS}{run.pk}/nodes/?page_size=1"
    for query, expected in {
        "": [long, pending, short],
        "&ordering=execution_order": [long, pending, short],
        "&ordering=-execution_order": [short, pending, long],
        "&ordering=duration": [pending, short, long],
        "&ordering=-duration": [long, short, pending],
    }.items():
        rows = follow_pages(client, f"{url}{query}")
        assert [row["id"] for row in rows] == expected, query
        assert rows[0].keys() == client.get(url).json()["results"][0].keys()
    assert pointers_of(client.get(f"{url}&ordering=created")) == ["?ordering"]


@pytest.mark.parametrize("query", ["status=x", "node=x", "workflow=x", "created_after=x", "ordering=duration", "q=ab"])
def test_a_wrong_question_to_node_executions_is_400(api: Any, owner: Any, query: str) -> None:
    assert pointers_of(api(owner).get(f"{NODES}?{query}")) == [f"?{query.partition('=')[0]}"]


def test_nodes_of_workflows_with_very_many_are_found_without_their_ids(
    api: Any, owner: Any, workflow: Workflow, monkeypatch: Any
) -> None:
    monkeypatch.setattr(limits, "NAMED_NODES", 1)
    other = WorkflowFactory(owner=owner, chain=["a"])
    runs = [WorkflowExecutionFactory(workflow=each) for each in (workflow, other)]
    nodes = [NodeExecutionFactory(workflow_execution=run, node=run.workflow.nodes.first()) for run in runs]
    NodeExecutionFactory()  # of somebody else
    assert found(api(owner), f"workflow={workflow.pk},{other.pk}", NODES) == {str(node.pk) for node in nodes}


# --- Attempts ------------------------------------------------------------------
def test_the_attempts_of_a_node_execution_keep_what_its_retries_replaced(
    api: Any, owner: Any, workflow: Workflow
) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    node: NodeExecution = NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.get(name="rank"))
    for number in (1, 2):
        node.start()
        node.fail(f"failure {number}", f"Traceback {number}")
        node.retry()
    client, url = api(owner), f"{NODES}{node.pk}/attempts/"
    rows = follow_pages(client, f"{url}?page_size=1")
    assert [(row["number"], row["error_message"]) for row in rows] == [(1, "failure 1"), (2, "failure 2")]
    assert "error_traceback" not in rows[0]
    assert client.get(f"{url}2/").json()["error_traceback"] == "Traceback 2"
    assert client.get(f"{url}3/").status_code == 404
    assert client.get(f"{url}{10**30}/").status_code == 404
    assert client.get(f"{NODES}{uuid7()}/attempts/").status_code == 404


def test_the_attempts_of_a_run_take_two_queries(
    api: Any, owner: Any, workflow: Workflow, django_assert_num_queries: Any
) -> None:
    run: WorkflowExecution = in_state(WorkflowExecutionFactory(workflow=workflow), "failed")
    run.retry()
    client, url = api(owner), f"{RUNS}{run.pk}/attempts/"
    with django_assert_num_queries(2):  # the token with the run, its attempts
        rows = client.get(url).json()["results"]
    assert [(row["number"], row["status"], row["error_message"]) for row in rows] == [(1, "failed", "went wrong")]
    assert rows[0].pop("error_is_cut") is False
    assert client.get(f"{url}1/").json() == rows[0] | {"output_data": None}
    assert client.get(f"{url}?fields=number").json()["results"] == [{"number": 1}]
