"""The graph of a run: the workflow's graph when the run was created, and nodes that were added to the run later."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import F, Func, Q, QuerySet, UUIDField

from ledgerkit.db.models import parse_uuid
from ledgerkit.db.names import nfc
from ledgerkit.db.row_lookup import ITSELF, RowLookup, field_names
from workflows.models import Edge, Graph, Node, Workflow

if TYPE_CHECKING:
    from .models import WorkflowExecution

NODE = RowLookup(
    lambda id, workflow: Node.objects.filter(pk=id, workflow_id=workflow),
    *(UUID(int=0), UUID(int=1)),
    fields={ITSELF: field_names(Node)},
)


def of_run(run: "WorkflowExecution", executed: Mapping[UUID, str] | None = None) -> Graph:
    """Return the run's graph. It is not saved. Executed nodes that are missing in the stored graph are added, with the
    workflow's current edges and the name under which they ran. `executed` maps the ids of executed nodes to names; it
    may contain more nodes."""
    remembered = run.graph or Graph()
    here = node_ids(run)
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


def node_ids(run: "WorkflowExecution") -> set[UUID]:
    """Return the ids of the nodes in the graph that the run remembers."""
    return {UUID(node["id"]) for node in run.graph.nodes} if run.graph else set()


def remember(run: "WorkflowExecution", node: UUID) -> None:
    """Add a node to the stored graph of the run. The caller holds the run's lock. The run's version is not incremented,
    as no visible value changes.

    Usually the run was created before the workflow's nodes, and the current graph replaces the stored one, unless nodes
    of the run have other names by now.
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


def level_in(run: "WorkflowExecution", node: UUID) -> int:
    """Return the topological level of `node` in the run's graph; if it is not part of it, in the workflow's; else 0."""
    remembered: Graph = run.graph or Graph()
    level = remembered.levels().get(node)
    return run.workflow.levels().get(node, 0) if level is None else level


def node_in(run: "WorkflowExecution", name_or_id: str) -> Node | None:
    """Return the node of the run's workflow that has this id or name. Names of the run's graph take precedence over
    current ones."""
    remembered: Graph = run.graph or Graph()
    name = nfc(name_or_id)
    named = next((node["id"] for node in remembered.nodes if nfc(node["name"]) == name), None)
    for id in filter(None, (parse_uuid(name_or_id), parse_uuid(named))):
        if node := NODE.first(id, run.workflow_id):
            return node
    return Node.objects.filter(name=name, retired_at=None, workflow=run.workflow_id).first()


def _edges(late: set[UUID], known: set[UUID]) -> Iterable[dict[str, object]]:
    """Return current edges at a late node whose ends are both in the run."""
    touching = Q(source_node__in=late) | Q(target_node__in=late)
    edges = Edge.objects.filter(touching, source_node__in=known, target_node__in=known)
    rows: Iterable[dict[str, object]] = edges.values(*Graph.EDGE)
    return rows
