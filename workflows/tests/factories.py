"""Definitions for tests. `WorkflowFactory(chain=["a", "b"])` makes the nodes and the edges between them."""

from itertools import pairwise
from typing import Any

import factory
from django.contrib.auth import get_user_model
from factory.django import DjangoModelFactory

from workflows.models import Edge, Node, NodeType, Workflow


class UserFactory(DjangoModelFactory):
    class Meta:
        model = get_user_model()
        skip_postgeneration_save = True

    username = factory.Sequence("user{}".format)


class WorkflowFactory(DjangoModelFactory):
    class Meta:
        model = Workflow
        skip_postgeneration_save = True

    owner = factory.SubFactory(UserFactory)
    name = factory.Sequence("workflow {}".format)

    @factory.post_generation
    def chain(self: Workflow, create: bool, names: list[str] | None, **kwargs: Any) -> None:  # type: ignore[misc]  # factory_boy passes the object as self
        # In two statements: most tests begin with a chain.
        nodes = Node.objects.bulk_create(NodeFactory.build(workflow=self, name=name) for name in names or [])
        pairs = pairwise(nodes)
        Edge.objects.bulk_create(EdgeFactory.build(workflow=self, source_node=a, target_node=b) for a, b in pairs)


class NodeFactory(DjangoModelFactory):
    class Meta:
        model = Node

    workflow = factory.SubFactory(WorkflowFactory)
    name = factory.Sequence("node {}".format)
    node_type = NodeType.TOOL


class EdgeFactory(DjangoModelFactory):
    class Meta:
        model = Edge

    workflow = factory.SubFactory(WorkflowFactory)
    source_node = factory.SubFactory(NodeFactory, workflow=factory.SelfAttribute("..workflow"))
    target_node = factory.SubFactory(NodeFactory, workflow=factory.SelfAttribute("..workflow"))
