"""The graph of a run: the one that it remembers from the moment it was made, and what came into the run later."""

from typing import Any
from uuid import UUID

from django.db.models import Q

from workflows.base import parse_uuid
from workflows.models import Edge, Graph, Node


def of_run(run: Any) -> Graph:
    """Not stored. A node that was executed in the run though its graph has none such is added, with today's edges."""
    remembered = run.graph or Graph()
    here = {UUID(node["id"]) for node in remembered.nodes}
    late = set(run.node_executions.order_by().values_list("node_id", flat=True)) - here
    if not late:
        return Graph(workflow_id=run.workflow_id, nodes=remembered.nodes, edges=remembered.edges)
    nodes, edges = Node.objects.filter(pk__in=late).values(*Graph.NODE), _edges(late, here | late)
    return Graph(
        workflow_id=run.workflow_id,
        nodes=[*remembered.nodes, *map(Graph.stored, nodes)],
        edges=[*remembered.edges, *map(Graph.stored, edges)],
    )


def level_in(run: Any, node: UUID) -> int:
    """The topological level of `node`, which a run's graph need not have: then today's, else 0."""
    remembered: Graph = run.graph or Graph()
    level = remembered.levels().get(node)
    return run.workflow.levels().get(node, 0) if level is None else level


def node_in(run: Any, name_or_id: str) -> Node | None:
    """The node of the run's workflow that has this id or, first of the run's graph and then of today's, this name."""
    remembered: Graph = run.graph or Graph()
    named = next((node["id"] for node in remembered.nodes if node["name"] == name_or_id), None)
    ids = [id for id in (parse_uuid(name_or_id), parse_uuid(named)) if id]
    known = Node.objects.filter(Q(pk__in=ids) | Q(name=name_or_id, retired_at=None), workflow=run.workflow_id)
    return min(known, key=lambda node: [*ids, node.pk].index(node.pk), default=None)


def _edges(late: set[UUID], known: set[UUID]) -> Any:
    """Today's that touch a late node and do not lead out of the run."""
    touching = Q(source_node__in=late) | Q(target_node__in=late)
    return Edge.objects.filter(touching, source_node__in=known, target_node__in=known).values(*Graph.EDGE)
