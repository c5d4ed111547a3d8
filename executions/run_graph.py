"""The graph of a run: the one that it remembers from the moment it was made, and what came into the run later."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import F, Func, Q, QuerySet, UUIDField

from ledgerkit.db.models import parse_uuid
from ledgerkit.db.names import nfc
from workflows.models import Edge, Graph, Node, Workflow


def of_run(run: Any, executed: Mapping[UUID, str] | None = None) -> Graph:
    """Not stored. A node that was executed in the run though its graph has none such is added, with today's edges and
    the name that it had when it came into the run. `executed` has the names of these nodes, and maybe of others, where
    the caller knows them."""
    remembered = run.graph or Graph()
    here = ids_in(run)
    if executed is None:
        executed = dict(run.node_executions.order_by().values_list("node_id", "node_name"))
    late = executed.keys() - here
    if not late:
        return Graph(workflow_id=run.workflow_id, nodes=remembered.nodes, edges=remembered.edges)
    today = Node.objects.filter(pk__in=late).values(*Graph.NODE)
    nodes = ({**node, "name": executed[node["id"]]} for node in today)
    edges = _edges(late, here | late)
    return Graph(
        workflow_id=run.workflow_id,
        nodes=[*remembered.nodes, *map(Graph.to_json, nodes)],
        edges=[*remembered.edges, *map(Graph.to_json, edges)],
    )


def ids_in(run: Any) -> set[UUID]:
    """Return the ids of the nodes in the graph that the run remembers."""
    return {UUID(node["id"]) for node in run.graph.nodes} if run.graph else set()


def remember(run: Any, node: UUID) -> None:
    """A node that comes into the run later: from now on the run remembers it too. Nobody else changes the run's row
    meanwhile; its version stays, for nothing is changed that somebody may have read.

    Mostly it is a run that was made before its workflow's nodes, and today's graph is all that there is to remember;
    but not where nodes of the run have other names by now.
    """
    here = {each["id"]: each["name"] for each in run.graph.nodes} if run.graph else {}
    if str(node) in here:
        return
    of_today = Func(F("pk"), function="graph_of", output_field=UUIDField())
    today = Graph.objects.get(pk=Workflow.objects.values_list(of_today, flat=True).get(pk=run.workflow_id))
    names = {each["id"]: each["name"] for each in today.nodes}
    if str(node) not in names or not here.items() <= names.items():
        today = of_run(run)
        today.save()
    QuerySet(type(run)).filter(pk=run.pk).update(graph=today)
    run.graph = today


def level_in(run: Any, node: UUID) -> int:
    """The topological level of `node`, which a run's graph need not have: then today's, else 0."""
    remembered: Graph = run.graph or Graph()
    level = remembered.levels().get(node)
    return run.workflow.levels().get(node, 0) if level is None else level


def node_in(run: Any, name_or_id: str) -> Node | None:
    """The node of the run's workflow that has this id or, first of the run's graph and then of today's, this name."""
    remembered: Graph = run.graph or Graph()
    name = nfc(name_or_id)
    named = next((node["id"] for node in remembered.nodes if nfc(node["name"]) == name), None)
    ids = [id for id in (parse_uuid(name_or_id), parse_uuid(named)) if id]
    known = Node.objects.filter(Q(pk__in=ids) | Q(name=name, retired_at=None), workflow=run.workflow_id)
    return min(known, key=lambda node: [*ids, node.pk].index(node.pk), default=None)


def _edges(late: set[UUID], known: set[UUID]) -> Any:
    """Today's that touch a late node and do not lead out of the run."""
    touching = Q(source_node__in=late) | Q(target_node__in=late)
    return Edge.objects.filter(touching, source_node__in=known, target_node__in=known).values(*Graph.EDGE)
