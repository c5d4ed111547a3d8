"""The contract's definitions: a saved graph is a DAG, and what has history cannot be hard-deleted."""

from functools import partial
from itertools import pairwise

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, IntegrityError
from django.test import Client
from django.utils import timezone

from executions.models import ExecutionLog, LogLevel, NodeExecution, WorkflowExecution
from executions.tests.acceptance import (
    expect_refusal,
    fresh,
    insert,
    new_edge,
    new_node,
    new_node_execution,
    new_run,
    new_workflow,
    race,
    sql,
    uuid7,
    values,
)
from workflows.models import Edge, Node, Workflow

pytestmark = pytest.mark.django_db


def chain(*names: str) -> list[Node]:
    """Return nodes of one workflow, each with an edge to the next."""
    workflow = new_workflow()
    nodes = [new_node(workflow, name) for name in names]
    for source, target in pairwise(nodes):
        new_edge(source, target)
    return nodes


# --- the graph ---------------------------------------------------------------
def test_a_node_name_is_unique_in_its_workflow_only() -> None:
    workflow = new_workflow()
    new_node(workflow, "load")
    new_node(new_workflow("Other"), "load")
    with pytest.raises(IntegrityError):
        insert("nodes", id=uuid7(), workflow_id=workflow.id, name="load", node_type="tool", position_x=0, position_y=0)


def test_a_diamond_is_a_graph_that_may_be_saved() -> None:
    top, left, right, bottom = (new_node(workflow, name) for workflow in [new_workflow()] for name in "abcd")
    for source, target in ((top, left), (top, right), (left, bottom), (right, bottom), (top, bottom)):
        new_edge(source, target)
    assert Edge.objects.count() == 5


def test_an_edge_never_leads_from_a_node_to_itself() -> None:
    [node] = chain("a")
    with expect_refusal():
        new_edge(node, node)


def test_an_edge_never_leads_from_a_node_to_itself_in_plain_sql() -> None:
    [node] = chain("a")
    columns = {"workflow_id": node.workflow_id, "source_node_id": node.id, "target_node_id": node.id}
    with pytest.raises(DatabaseError):
        insert("edges", id=uuid7(), **columns)


@pytest.mark.parametrize("handles", [{}, {"source_handle": "true"}, {"source_handle": "out", "target_handle": "in"}])
def test_a_duplicate_edge_is_refused_and_null_handles_count_as_equal(handles: dict[str, str]) -> None:
    source, target = (new_node(workflow, name) for workflow in [new_workflow()] for name in "ab")
    new_edge(source, target, **handles)
    columns = {"workflow_id": source.workflow_id, "source_node_id": source.id, "target_node_id": target.id}
    with pytest.raises(IntegrityError):
        insert("edges", id=uuid7(), **columns, **handles)
    with expect_refusal():
        new_edge(source, target, **handles)


def test_two_edges_between_the_same_nodes_may_differ_in_a_handle() -> None:
    source, target = chain("a", "b")
    new_edge(source, target, source_handle="true")
    new_edge(source, target, source_handle="false")
    new_edge(source, target, target_handle="true")
    assert Edge.objects.count() == 4


@pytest.mark.parametrize("end", ["source_node", "target_node"])
def test_an_edge_never_touches_a_node_of_another_workflow(end: str) -> None:
    source, target = (new_node(workflow, name) for workflow in [new_workflow()] for name in "ab")
    foreign = new_node(new_workflow("Other"), "c")
    with expect_refusal():
        new_edge(source, target, **{end: foreign})


@pytest.mark.parametrize("end", ["source_node_id", "target_node_id"])
def test_an_edge_never_touches_a_node_of_another_workflow_in_plain_sql(end: str) -> None:
    source, target = (new_node(workflow, name) for workflow in [new_workflow()] for name in "ab")
    foreign = new_node(new_workflow("Other"), "c")
    columns = {"workflow_id": source.workflow_id, "source_node_id": source.id, "target_node_id": target.id}
    with pytest.raises(DatabaseError):
        insert("edges", id=uuid7(), **columns | {end: foreign.id})


def test_an_edge_that_closes_a_cycle_of_two_is_refused() -> None:
    first, second = chain("a", "b")
    with expect_refusal():
        new_edge(second, first)
    assert Edge.objects.count() == 1


def test_an_edge_that_closes_a_long_cycle_is_refused() -> None:
    nodes = chain(*"abcdefgh")
    with expect_refusal():
        new_edge(nodes[-1], nodes[0])
    assert Edge.objects.count() == 7


def test_an_edge_turned_round_into_a_cycle_is_refused() -> None:
    first, _, third = chain("a", "b", "c")
    edge = new_edge(first, third)
    edge.source_node, edge.target_node = third, first
    with expect_refusal():
        edge.save()
    assert fresh(edge).source_node == first


def test_edges_created_in_bulk_never_form_a_cycle() -> None:
    first, second = (new_node(workflow, name) for workflow in [new_workflow()] for name in "ab")
    there = Edge(workflow=first.workflow, source_node=first, target_node=second)
    back = Edge(workflow=first.workflow, source_node=second, target_node=first)
    with expect_refusal():
        Edge.objects.bulk_create([there, back])


@pytest.mark.django_db(transaction=True)
def test_two_edges_that_would_close_a_cycle_are_never_both_saved() -> None:
    for _ in range(10):
        first, second = (new_node(workflow, name) for workflow in [new_workflow()] for name in "ab")
        race([partial(new_edge, first, second), partial(new_edge, second, first)])
        assert Edge.objects.filter(workflow=first.workflow).count() == 1


def test_deleting_a_node_without_history_takes_its_edges_along() -> None:
    _, second, _ = chain("a", "b", "c")
    second.delete()
    assert (Node.objects.count(), Edge.objects.count()) == (2, 0)


def test_deleting_a_workflow_without_history_in_sql_takes_nodes_and_edges_along() -> None:
    first, *_ = chain("a", "b", "c")
    sql("DELETE FROM workflows WHERE id = %s", first.workflow_id)
    assert (Node.objects.count(), Edge.objects.count()) == (0, 0)


# --- version -----------------------------------------------------------------
def test_a_stale_workflow_never_overwrites_a_newer_one() -> None:
    mine, theirs = new_workflow(), Workflow.objects.get()
    mine.name = "Newer"
    mine.save()
    theirs.name = "Stale"
    with expect_refusal():
        theirs.save()
    assert (fresh(mine).name, fresh(mine).version) == ("Newer", 2)


# --- history -----------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_workflow_with_history_cannot_be_hard_deleted() -> None:
    run = new_run()
    with pytest.raises(IntegrityError):
        sql("DELETE FROM workflows WHERE id = %s", run.workflow_id)
    with expect_refusal() as refusal:
        Workflow.objects.get(pk=run.workflow_id).delete()
    assert len(str(refusal.value).split()) > 3
    assert fresh(run).workflow.name == "Momentum"


@pytest.mark.django_db(transaction=True)
def test_a_node_with_history_cannot_be_hard_deleted() -> None:
    row = new_node_execution(new_run())
    with pytest.raises(IntegrityError):
        sql("DELETE FROM nodes WHERE id = %s", row.node_id)
    with expect_refusal() as refusal:
        Node.objects.get(pk=row.node_id).delete()
    assert len(str(refusal.value).split()) > 3
    assert fresh(row).node.name == "load"


@pytest.mark.django_db(transaction=True)
def test_workflows_and_nodes_with_history_cannot_be_hard_deleted_in_bulk() -> None:
    row = new_node_execution(new_run())
    for model in (Node, Workflow):
        with expect_refusal():
            model.objects.all().delete()
    assert fresh(row).node.workflow.name == "Momentum"


def test_the_admin_refuses_to_delete_a_workflow_with_history_in_a_sentence(client: Client) -> None:
    run = new_run()
    client.force_login(get_user_model().objects.create_superuser("admin"))
    page = client.post(f"/admin/workflows/workflow/{run.workflow_id}/delete/", {"post": "yes"}, follow=True)
    assert page.status_code == 200
    assert "history" in page.text
    assert fresh(run).workflow.name == "Momentum"


def test_the_api_soft_deletes_a_workflow_with_history(client: Client) -> None:
    run = new_run()
    client.force_login(get_user_model().objects.create_superuser("admin"))
    assert client.delete(f"/api/v1/workflows/{run.workflow_id}/").status_code == 204
    assert sql("SELECT deleted_at IS NOT NULL FROM workflows") == [(True,)]
    assert fresh(run).workflow_id == run.workflow_id


def test_a_node_with_history_that_leaves_the_graph_by_the_api_is_not_deleted(client: Client) -> None:
    row = new_node_execution(new_run())
    client.force_login(get_user_model().objects.create_superuser("admin"))
    address = f"/api/v1/workflows/{row.node.workflow_id}/"
    definition = client.get(address).json() | {"nodes": [], "edges": []}
    answer = client.put(address, definition, content_type="application/json")
    assert (answer.status_code, answer.json()["nodes"]) == (200, [])
    assert fresh(row).node.name == "load"


def test_a_soft_deleted_workflow_keeps_its_row_and_its_history() -> None:
    run = new_run()
    workflow = Workflow.objects.get()
    workflow.deleted_at = timezone.now()
    workflow.save()
    assert sql("SELECT count(*) FROM workflows WHERE deleted_at IS NOT NULL") == [(1,)]
    assert fresh(run).workflow_id == workflow.id


# --- cascades ----------------------------------------------------------------
def test_deleting_a_run_takes_its_nodes_and_lines_and_leaves_the_rest() -> None:
    run = new_run()
    other = new_run(run.workflow)
    for one in (run, other):
        row = new_node_execution(one)
        ExecutionLog.objects.create(workflow_execution=one, level=LogLevel.INFO, message="of the run")
        ExecutionLog.objects.create(workflow_execution=one, node_execution=row, level=LogLevel.INFO, message="of it")
    run.delete()
    assert set(ExecutionLog.objects.values_list("workflow_execution", flat=True)) == {other.id}
    assert NodeExecution.objects.get().workflow_execution == other
    assert (ExecutionLog.objects.count(), Workflow.objects.count(), Node.objects.count()) == (2, 1, 1)


def test_deleting_a_run_in_sql_takes_its_nodes_and_lines_along() -> None:
    run = new_run()
    row = new_node_execution(run)
    ExecutionLog.objects.create(workflow_execution=run, node_execution=row, level=LogLevel.INFO, message="x")
    sql("DELETE FROM workflow_executions WHERE id = %s", run.id)
    assert (NodeExecution.objects.count(), ExecutionLog.objects.count()) == (0, 0)


def test_deleting_a_node_execution_takes_its_lines_and_leaves_those_of_the_run() -> None:
    run = new_run()
    row = new_node_execution(run)
    ExecutionLog.objects.create(workflow_execution=run, level=LogLevel.INFO, message="of the run")
    ExecutionLog.objects.create(workflow_execution=run, node_execution=row, level=LogLevel.INFO, message="of the node")
    row.delete()
    assert ExecutionLog.objects.get().message == "of the run"
    assert WorkflowExecution.objects.count() == 1


def test_a_run_that_has_been_retried_can_be_deleted_with_its_attempts() -> None:
    run = new_run()
    row = new_node_execution(run)
    for one in (run, row):
        one.start()
    row.fail("boom")
    run.fail("boom")
    run.retry()
    run.delete()
    assert not NodeExecution.objects.exists()
    assert values(run.workflow)["name"] == "Momentum"
