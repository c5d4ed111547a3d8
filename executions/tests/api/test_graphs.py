"""A run keeps showing the graph that it was made with, whatever becomes of its workflow."""

from itertools import pairwise
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from executions.models import NodeExecution, WorkflowExecution
from executions.tests.cast import permissions
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory
from ledgerkit.db.exceptions import violated_constraint
from ledgerkit.db.models import uuid7
from workflows.models import Edge, Graph, Node, Workflow
from workflows.tests.factories import EdgeFactory, NodeFactory, WorkflowFactory

pytestmark = pytest.mark.django_db

WORKFLOWS = "/api/v1/workflows/"
RUNS = "/api/v1/executions/"
TOOL = {"node_type": "tool"}


@pytest.fixture
def chain(owner: Any) -> Workflow:
    return WorkflowFactory(owner=owner, chain=["load", "rank", "report"])


def names_of(client: Any, run: Any) -> tuple[set[str], set[tuple[str, str]], list[list[str]]]:
    """Return the names of nodes, pairs of names, and names by level."""
    shown = client.get(f"{RUNS}{run.pk}/graph/").json()
    names = {node["id"]: node["name"] for node in shown["nodes"]}
    pairs = {(names[edge["source_node"]], names[edge["target_node"]]) for edge in shown["edges"]}
    return set(names.values()), pairs, [[names[node] for node in level] for level in shown["levels"]]


def replace(client: Any, workflow: Workflow, *names: str) -> Any:
    """Replace the workflow's graph by a chain of these nodes."""
    body = {
        "name": workflow.name,
        "nodes": [{"name": name} | TOOL for name in names],
        "edges": [{"source_node": a, "target_node": b} for a, b in pairwise(names)],
    }
    answer = client.put(f"{WORKFLOWS}{workflow.pk}/", body, format="json")
    assert answer.status_code == 200, answer.json()
    return answer.json()


def test_a_run_keeps_its_graph_through_ten_edits_of_its_workflow(api: Any, owner: Any, chain: Workflow) -> None:
    client, runs = api(owner), []
    for edit in range(10):
        names = ("load", f"step {edit}", "report")
        replace(client, chain, *names)
        runs.append((WorkflowExecutionFactory(workflow=chain), names))
        for node in chain.nodes.current():
            NodeExecutionFactory(workflow_execution=runs[-1][0], node=node)
    for run, names in runs:
        pairs = {(names[0], names[1]), (names[1], names[2])}
        assert names_of(client, run) == (set(names), pairs, [[name] for name in names])
    assert {node["name"] for node in client.get(f"{WORKFLOWS}{chain.pk}/").json()["nodes"]} == set(names)
    assert (Graph.objects.count(), chain.nodes.count()) == (10, 12)
    assert not Node.objects.filter(name="rank").exists()  # no run remembers it


def test_a_renamed_node_keeps_its_name_in_the_runs_before(api: Any, owner: Any, chain: Workflow) -> None:
    client, run = api(owner), WorkflowExecutionFactory(workflow=chain)
    nodes = client.get(f"{WORKFLOWS}{chain.pk}/").json()["nodes"]
    body = {"nodes": [node | {"name": f"new {node['name']}"} for node in nodes]}
    assert client.patch(f"{WORKFLOWS}{chain.pk}/", body, format="json").status_code == 200
    assert names_of(client, run)[0] == {"load", "rank", "report"}
    assert names_of(client, WorkflowExecutionFactory(workflow=chain))[0] == {"new load", "new rank", "new report"}


def test_a_node_that_a_run_remembers_is_retired_and_not_deleted(api: Any, owner: Any, chain: Workflow) -> None:
    client, run = api(owner), WorkflowExecutionFactory(workflow=chain)
    executed = NodeExecutionFactory(workflow_execution=run, node=chain.nodes.get(name="rank"))
    answer = replace(client, chain, "load", "report")
    assert {node["name"] for node in answer["nodes"]} == {"load", "report"}
    assert chain.nodes.get(name="rank").retired_at is not None
    assert client.get(f"/api/v1/node-executions/{executed.pk}/").json()["node_name"] == "rank"


def test_a_node_that_no_run_remembers_is_deleted(api: Any, owner: Any, chain: Workflow) -> None:
    replace(api(owner), chain, "load", "report")
    assert set(chain.nodes.values_list("name", flat=True)) == {"load", "report"}


def test_a_retired_node_comes_back_by_its_id_and_its_name_is_free_meanwhile(
    api: Any, owner: Any, chain: Workflow
) -> None:
    client = api(owner)
    rank = chain.nodes.get(name="rank")
    WorkflowExecutionFactory(workflow=chain)
    replace(client, chain, "load", "report")
    replace(client, chain, "load", "rank", "report")
    assert chain.nodes.filter(name="rank").count() == 2
    body = {"nodes": [{"id": str(rank.pk)}, {"name": "load"}, {"name": "report"}], "edges": []}
    assert client.patch(f"{WORKFLOWS}{chain.pk}/", body, format="json").status_code == 200
    assert chain.nodes.current().get(name="rank") == rank


def test_a_run_goes_on_by_its_own_graph_after_an_edit(api: Any, owner: Any, chain: Workflow) -> None:
    client, run = api(owner), WorkflowExecutionFactory(workflow=chain)
    replace(client, chain, "fetch", "load", "report")
    made = client.post(f"{RUNS}{run.pk}/nodes/", {"node": "rank"}, format="json").json()
    assert (made["node_name"], made["execution_order"]) == ("rank", 1)
    again = client.post(f"{RUNS}{run.pk}/nodes/", {"node": "load"}, format="json").json()
    assert again["execution_order"] == 0


def test_a_name_is_first_that_of_the_runs_own_node(api: Any, owner: Any, chain: Workflow) -> None:
    client, run, rank = api(owner), WorkflowExecutionFactory(workflow=chain), chain.nodes.get(name="rank")
    replace(client, chain, "load", "report")
    replace(client, chain, "load", "rank", "report")
    made = client.post(f"{RUNS}{run.pk}/nodes/", {"node": "rank"}, format="json").json()
    assert made["node"] == str(rank.pk)


def test_a_retry_follows_the_edges_that_the_run_remembers(api: Any, owner: Any, chain: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=chain)
    run.start()
    load, rank = (run.add_node(chain.nodes.get(name=name)) for name in ("load", "rank"))
    load.start()
    load.fail("no connection")
    rank.skip()
    replace(api(owner), chain, "rank", "load")
    run = WorkflowExecution.objects.get(pk=run.pk)
    run.fail("load failed")
    run.retry()
    assert {str(node.status) for node in run.node_executions.all()} == {"pending"}


def test_a_node_that_came_later_stands_in_the_graph_with_todays_edges(api: Any, owner: Any) -> None:
    workflow = WorkflowFactory(owner=owner, chain=["load"])
    run = WorkflowExecutionFactory(workflow=workflow)
    rank = NodeFactory(workflow=workflow, name="rank")
    EdgeFactory(workflow=workflow, source_node=workflow.nodes.get(name="load"), target_node=rank)
    assert names_of(api(owner), run) == ({"load"}, set(), [["load"]])
    assert run.add_node(rank).execution_order == 1
    assert names_of(api(owner), run) == ({"load", "rank"}, {("load", "rank")}, [["load"], ["rank"]])


def test_a_run_keeps_what_came_later_through_the_next_edit_too(api: Any, owner: Any) -> None:
    client, workflow = api(owner), WorkflowFactory(owner=owner)
    early, late = (WorkflowExecutionFactory(workflow=workflow) for _ in range(2))
    replace(client, workflow, "load", "rank")
    for name in ("load", "rank"):
        client.post(f"{RUNS}{early.pk}/nodes/", {"node": name}, format="json")
    client.post(f"{RUNS}{late.pk}/nodes/", {"node": "load"}, format="json")
    replace(client, workflow, "fetch", "report")
    client.post(f"{RUNS}{late.pk}/nodes/", {"node": "report"}, format="json")
    replace(client, workflow, "other")
    assert names_of(client, early) == ({"load", "rank"}, {("load", "rank")}, [["load"], ["rank"]])
    assert names_of(client, late)[0] == {"load", "rank", "report"}
    assert ("load", "rank") in names_of(client, late)[1]


def test_an_object_that_was_read_before_a_node_came_later_can_still_be_saved() -> None:
    run = WorkflowExecutionFactory()
    same = WorkflowExecution.objects.get(pk=run.pk)
    run.add_node(NodeFactory(workflow=run.workflow))
    run.save()
    graph = run.graph
    same = WorkflowExecution.objects.get(pk=same.pk)
    same.save()
    assert WorkflowExecution.objects.get(pk=run.pk).graph == graph


def test_the_graph_says_what_became_of_each_node(api: Any, owner: Any, chain: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=chain)
    run.start()
    load = run.add_node(chain.nodes.get(name="load"))
    load.start()
    nodes = {node["name"]: node for node in api(owner).get(f"{RUNS}{run.pk}/graph/").json()["nodes"]}
    assert (nodes["load"]["status"], nodes["load"]["node_execution"]) == ("running", str(load.pk))
    assert (nodes["rank"]["status"], nodes["rank"]["node_execution"], nodes["rank"]["level"]) == (None, None, 1)


@pytest.mark.parametrize("size", [3, 60])
def test_a_runs_graph_takes_four_queries_for_any_number_of_nodes(
    api: Any, owner: Any, size: int, django_assert_num_queries: Any
) -> None:
    workflow = WorkflowFactory(owner=owner, chain=[str(i) for i in range(size)])
    run, client = WorkflowExecutionFactory(workflow=workflow), api(owner)
    NodeExecution.objects.bulk_create(
        NodeExecution(workflow_execution=run, node=node, execution_order=0) for node in workflow.nodes.all()
    )
    with django_assert_num_queries(4):  # token, run and graph, which nodes, their states
        assert len(client.get(f"{RUNS}{run.pk}/graph/").json()["nodes"]) == size


# --- Whatever door a run comes in by --------------------------------------------
def test_runs_of_one_graph_share_what_is_remembered(chain: Workflow) -> None:
    runs = [WorkflowExecutionFactory(workflow=chain) for _ in range(3)]
    runs += WorkflowExecution.objects.bulk_create([WorkflowExecution(workflow=chain, trigger_type="manual")])
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO workflow_executions (workflow_id, trigger_type) VALUES (%s, 'manual') RETURNING graph_id",
            [chain.pk],
        )
        (by_sql,) = cursor.fetchone()
    assert {run.graph_id for run in runs} == {by_sql, Graph.objects.get().pk}


def test_a_saved_run_still_remembers(chain: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=chain)
    run.save()
    run.metadata = {"tags": ["again"]}
    run.save(update_fields=["metadata"])
    run.start()
    run.save()
    assert WorkflowExecution.objects.get(pk=run.pk).graph == Graph.objects.get()


def test_a_change_that_no_graph_shows_makes_no_other_graph(chain: Workflow) -> None:
    before = WorkflowExecutionFactory(workflow=chain)
    chain.nodes.update(config={"top": 3}, timeout_seconds=9)
    assert WorkflowExecutionFactory(workflow=chain).graph_id == before.graph_id
    chain.nodes.filter(name="load").update(name="fetch")
    assert WorkflowExecutionFactory(workflow=chain).graph_id != before.graph_id
    chain.nodes.filter(name="fetch").update(name="load")
    assert WorkflowExecutionFactory(workflow=chain).graph_id == before.graph_id
    assert Graph.objects.filter(is_current=True).count() == 1


def test_each_change_of_the_edges_makes_another_graph(chain: Workflow) -> None:
    nodes = {node.name: node for node in chain.nodes.all()}
    seen = {WorkflowExecutionFactory(workflow=chain).graph_id}
    edge = Edge.objects.create(workflow=chain, source_node=nodes["load"], target_node=nodes["report"])
    seen.add(WorkflowExecutionFactory(workflow=chain).graph_id)
    Edge.objects.filter(pk=edge.pk).update(label="short way")
    seen.add(WorkflowExecutionFactory(workflow=chain).graph_id)
    chain.edges.all().delete()
    seen.add(WorkflowExecutionFactory(workflow=chain).graph_id)
    assert len(seen) == 4


# --- Retired nodes, held by the database ------------------------------------------
def test_retiring_a_node_takes_its_edges_along_and_no_other_can_be_tied_to_it(chain: Workflow) -> None:
    load, rank = (chain.nodes.get(name=name) for name in ("load", "rank"))
    WorkflowExecutionFactory(workflow=chain)
    chain.nodes.filter(pk=rank.pk).leave()
    assert not chain.edges.exists()
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        Edge.objects.create(workflow=chain, source_node=load, target_node=rank)
    assert violated_constraint(refusal.value) == "edge_in_graph"


def test_two_retired_nodes_may_share_a_name_and_two_of_the_graph_may_not(chain: Workflow) -> None:
    WorkflowExecutionFactory(workflow=chain)
    for _ in range(2):
        chain.nodes.filter(name="rank").current().leave()
        NodeFactory(workflow=chain, name="rank")
    with pytest.raises(IntegrityError), transaction.atomic():
        NodeFactory(workflow=chain, name="rank")


def test_a_workflow_without_runs_is_deleted_with_its_graphs(chain: Workflow) -> None:
    WorkflowExecutionFactory(workflow=chain).delete()
    assert Graph.objects.filter(workflow=chain).exists()
    chain.delete()
    assert not Graph.objects.exists()


# --- The workflow's own graph, and copies -----------------------------------------
def test_a_workflows_graph_has_levels(api: Any, owner: Any, chain: Workflow) -> None:
    nodes = {node.name: str(node.pk) for node in chain.nodes.all()}
    NodeFactory(workflow=chain, name="audit")
    shown = api(owner).get(f"{WORKFLOWS}{chain.pk}/graph/")
    assert [node["name"] for node in shown.json()["nodes"]] == ["audit", "load", "rank", "report"]
    assert shown.json()["levels"][1:] == [[nodes["rank"]], [nodes["report"]]]
    assert (shown.json()["version"], shown.headers["ETag"]) == (1, '"1"')


def test_a_duplicate_has_the_same_graph_in_rows_of_its_own(api: Any, owner: Any, chain: Workflow) -> None:
    client = api(owner)
    chain.nodes.filter(name="rank").update(config={"top": 3})
    WorkflowExecutionFactory(workflow=chain)
    chain.nodes.filter(name="report").leave()
    answer = client.post(f"{WORKFLOWS}{chain.pk}/duplicate/", {}, format="json")
    assert answer.status_code == 201
    copy = answer.json()
    assert (copy["name"], copy["version"], copy["owner"]) == (f"{chain.name} (copy)", 1, owner.pk)
    assert {node["name"]: node["config"] for node in copy["nodes"]} == {"load": {}, "rank": {"top": 3}}
    assert len(copy["edges"]) == 1
    assert not set(chain.nodes.values_list("id", flat=True)) & {node["id"] for node in copy["nodes"]}
    assert not Workflow.objects.get(pk=copy["id"]).executions.exists()


def test_a_duplicate_takes_the_name_it_is_given(api: Any, owner: Any, chain: Workflow) -> None:
    url = f"{WORKFLOWS}{chain.pk}/duplicate/"
    assert api(owner).post(url, {"name": "mine"}, format="json").json()["name"] == "mine"
    Workflow.objects.filter(pk=chain.pk).update(name="x" * 255)
    assert len(api(owner).post(url, {}, format="json").json()["name"]) == 255
    assert api(owner).post(url, {"name": ""}, format="json").status_code == 400


def test_a_duplicate_of_what_a_stranger_owns_is_not_found(api: Any, stranger: Any, chain: Workflow) -> None:
    assert api(stranger).post(f"{WORKFLOWS}{chain.pk}/duplicate/", {}, format="json").status_code == 404
    assert api(stranger).get(f"{WORKFLOWS}{chain.pk}/graph/").status_code == 404
    assert Workflow.objects.count() == 1


# --- Made and started in one call --------------------------------------------------
def test_a_run_can_be_made_and_started_in_one_call(api: Any, owner: Any, chain: Workflow) -> None:
    body = {"id": str(uuid7()), "workflow": str(chain.pk), "trigger_type": "event", "start": True}
    client = api(owner)
    made = client.post(RUNS, body, format="json")
    assert (made.status_code, made.json()["status"]) == (201, "running")
    again = client.post(RUNS, body, format="json")
    assert (again.status_code, again.json()["status"]) == (200, "running")
    assert "start" not in made.json()


def test_a_run_that_cannot_be_started_is_not_made_either(api: Any, owner: Any, chain: Workflow) -> None:
    WorkflowExecutionFactory(workflow=chain).start()
    body = {"workflow": str(chain.pk), "trigger_type": "event", "start": True}
    answer = api(owner).post(RUNS, body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "concurrent_execution")
    assert WorkflowExecution.objects.count() == 1


def test_a_session_needs_the_permission_to_start_as_well(chain: Workflow, owner: Any, client: Any) -> None:
    owner.user_permissions.set(permissions("add_workflowexecution"))
    client.force_login(owner)
    body = {"workflow": str(chain.pk), "trigger_type": "manual", "start": True}
    answer = client.post(RUNS, body, content_type="application/json")
    assert answer.status_code == 403
    assert "executions.change_workflowexecution" in answer.json()["detail"]
    assert not WorkflowExecution.objects.exists()
    assert client.post(RUNS, body | {"start": False}, content_type="application/json").status_code == 201
