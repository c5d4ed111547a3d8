import pytest
from django.core.exceptions import ValidationError

from workflows.models import Edge, Node, Workflow
from workflows.tests.factories import EdgeFactory, NodeFactory, UserFactory, WorkflowFactory

pytestmark = pytest.mark.django_db


def test_a_workflow_has_the_defaults_of_the_contract() -> None:
    made = Workflow.objects.get(pk=Workflow.objects.create(owner=UserFactory(), name="w").pk)
    assert (made.config, made.variables, made.is_active, made.version, made.deleted_at) == ({}, {}, True, 1, None)
    node = Node.objects.get(pk=Node.objects.create(workflow=made, name="n", node_type="tool").pk)
    assert (node.timeout_seconds, node.retry_config, node.config) == (300, {"max_retries": 3, "delay": 1}, {})


@pytest.fixture
def workflow() -> Workflow:
    return WorkflowFactory(chain=["a", "b", "c"])


def edge(workflow: Workflow, source: str, target: str, **fields: object) -> Edge:
    nodes = workflow.nodes
    return Edge(workflow=workflow, source_node=nodes.get(name=source), target_node=nodes.get(name=target), **fields)


@pytest.mark.parametrize(
    ("source", "target", "sentence"),
    [
        ("a", "a", "A node cannot lead to itself"),
        ("c", "a", "The edges form a cycle"),
        ("a", "b", "The same edge exists already"),
    ],
)
def test_an_edge_that_may_not_be_is_refused_in_a_sentence(
    workflow: Workflow, source: str, target: str, sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        edge(workflow, source, target).full_clean()


def test_an_edge_between_other_handles_is_another_edge(workflow: Workflow) -> None:
    edge(workflow, "a", "b", source_handle="other").full_clean()


def test_an_edge_may_not_leave_its_workflow(workflow: Workflow) -> None:
    foreign = EdgeFactory.build(workflow=workflow, source_node=workflow.nodes.first(), target_node=NodeFactory())
    with pytest.raises(ValidationError, match="belongs to another workflow"):
        foreign.full_clean()


def test_two_nodes_of_a_workflow_do_not_share_a_name(workflow: Workflow) -> None:
    with pytest.raises(ValidationError, match="Another node of this workflow has this name"):
        NodeFactory.build(workflow=workflow, name="a").full_clean()
    NodeFactory(name="a")


def test_retries_are_a_whole_number_from_0(workflow: Workflow) -> None:
    for config in ({"max_retries": -1}, {"max_retries": "3"}, {"max_retries": True}, []):
        with pytest.raises(ValidationError, match="retry_config"):
            NodeFactory.build(workflow=workflow, retry_config=config).full_clean()


def test_a_key_of_retry_config_that_nothing_reads_is_refused(workflow: Workflow) -> None:
    for config in ({}, {"delay": 0.5}, {"max_retries": 0}, {"max_retries": 2, "delay": 1}):
        NodeFactory.build(workflow=workflow, retry_config=config).full_clean()
    with pytest.raises(ValidationError, match=r"retry_config\.max_retry: there is no such key\. It takes max_retries"):
        NodeFactory.build(workflow=workflow, retry_config={"max_retry": 5}).full_clean()


def test_a_soft_deleted_workflow_is_out_of_use_and_still_there(workflow: Workflow) -> None:
    workflow.soft_delete()
    deleted = Workflow.objects.get()
    assert deleted.deleted_at is not None
    assert not Workflow.objects.alive().exists()
    deleted.soft_delete()
    assert Workflow.objects.get().deleted_at == deleted.deleted_at
    deleted.restore()
    assert Workflow.objects.alive().get() == workflow


def test_levels_are_what_execution_order_is_made_of(workflow: Workflow) -> None:
    names = dict(workflow.nodes.values_list("id", "name"))
    assert {names[id]: level for id, level in workflow.levels().items()} == {"a": 0, "b": 1, "c": 2}
