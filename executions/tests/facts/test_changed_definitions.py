"""Facts about workflows that were renamed, deleted or extended after their runs were made, and names of workflows."""

import unicodedata
from typing import Any

import pytest

from executions.models import NodeExecution, WorkflowExecution
from executions.tests.facts.reporting import new_id, run_facts, send
from workflows.models import Workflow
from workflows.tests.factories import EdgeFactory, NodeFactory, WorkflowFactory

pytestmark = pytest.mark.django_db


def create(run: str, workflow: str) -> dict[str, Any]:
    return {"kind": "execution.create", "id": run, "workflow": workflow, "trigger_type": "manual"}


def test_a_name_in_another_form_of_unicode(engine: Any, owner: Any) -> None:
    workflow = WorkflowFactory(owner=owner, name="모멘텀")
    assert send(engine, create(new_id(), unicodedata.normalize("NFD", "모멘텀")))["refusals"] == []
    assert WorkflowExecution.objects.get().workflow == workflow


def test_names_that_differ_in_case_are_two_names(engine: Any, owner: Any) -> None:
    WorkflowFactory(owner=owner, name="momentum")
    answer = send(engine, create(new_id(), "momentum"), create(new_id(), "MOMENTUM"))
    assert [(each["index"], each["code"]) for each in answer["refusals"]] == [(1, "invalid")]


def test_an_id_in_capitals(engine: Any, workflow: Workflow) -> None:
    assert send(engine, create(new_id(), str(workflow.pk).upper()))["refusals"] == []


@pytest.mark.parametrize("by", ["id", "name"])
@pytest.mark.parametrize(
    "change", [{"name": "another name"}, {"is_active": False}, {"deleted_at": "2026-11-01T00:00Z"}]
)
def test_the_same_facts_after_a_change_of_the_workflow(
    engine: Any, workflow: Workflow, by: str, change: dict[str, Any]
) -> None:
    first, *facts = run_facts(workflow, new_id(), {"fetch": new_id()}, lines=1)
    facts = [first | {"workflow": str(workflow.pk) if by == "id" else workflow.name}, *facts]
    send(engine, *facts)
    Workflow.objects.filter(pk=workflow.pk).update(**change)
    answer = send(engine, *facts)
    assert (answer["known"], answer["refusals"]) == (len(facts), [])


def test_the_same_id_for_another_workflow_of_that_name(engine: Any, owner: Any, staff: Any, workflow: Workflow) -> None:
    """A name means a workflow of the caller's own, whoever may see the run."""
    run = new_id()
    send(engine, create(run, workflow.name))
    WorkflowFactory(owner=staff, name=workflow.name)
    client = type(engine)()
    client.force_authenticate(staff)
    answer = send(client, create(run, workflow.name))
    assert [each["code"] for each in answer["refusals"]] == ["exists_with_other_content"]


@pytest.mark.parametrize("order", [None, 7])
def test_a_node_that_is_newer_than_its_run(engine: Any, owner: Any, order: int | None) -> None:
    """Its place is that of its level, and the run remembers it, as after the call for one row."""
    workflow = WorkflowFactory(owner=owner, chain=["fetch", "rank"])
    runs = [new_id(), new_id()]
    send(engine, *(create(run, str(workflow.pk)) | {"metadata": {"allow_concurrent": True}} for run in runs))
    late = NodeFactory(workflow=workflow, name="report")
    EdgeFactory(workflow=workflow, source_node=workflow.nodes.get(name="rank"), target_node=late)
    of_node = {"node": "report"} | ({} if order is None else {"execution_order": order})
    send(engine, {"kind": "node.create", "id": new_id(), "workflow_execution": runs[0], **of_node})
    assert engine.post(f"/api/v1/executions/{runs[1]}/nodes/", of_node, format="json").status_code == 201
    in_one_call, alone = (NodeExecution.objects.get(workflow_execution=run) for run in runs)
    assert in_one_call.execution_order == alone.execution_order == (2 if order is None else order)
    graphs = [WorkflowExecution.objects.get(pk=run).graph for run in runs]
    assert [[node["name"] for node in graph.nodes] for graph in graphs if graph] == [["fetch", "rank", "report"]] * 2
