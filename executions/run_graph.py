"""The graph of a run: the workflow's graph when the run was created, and nodes that were added to the run later."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import F, Func, Q, QuerySet, UUIDField

from ledgerkit.db.models import parse_uuid
from ledgerkit.db.names import nfc
from ledgerkit.db.row_lookup import ITSELF, RowLookup, field_names
from workflows.models import Edge, Graph, Node, Workflow

if TYPE_CHECKING:
    from .models import WorkflowExecution

type Values = dict[str, Any]  # of a row

NODE = RowLookup(
    lambda id, workflow: Node.objects.filter(pk=id, workflow_id=workflow),
    *(UUID(int=0), UUID(int=1)),
    fields={ITSELF: field_names(Node)},
)


def of_run(run: "WorkflowExecution", executed: Mapping[UUID, str] | None = None) -> Graph:
    """Return the run's graph. It is not saved. Executed nodes that are missing in the stored graph are added, with the
    workflow's current edges and the name under which they ran. `executed` maps the ids of executed nodes to names; it
    may contain more nodes."""
    if executed is None:
        executed = dict(run.node_executions.order_by().values_list("node_id", "node_name"))
    return _of_runs([run], {run.pk: executed})[run.pk]


def node_ids(run: "WorkflowExecution") -> set[UUID]:
    """Return the ids of the nodes in the graph that the run remembers."""
    return {UUID(node["id"]) for node in run.graph.nodes} if run.graph else set()


def remember(run: "WorkflowExecution", node: UUID) -> None:
    """Add a node to the stored graph of the run. The caller holds the run's lock. The run's version is not incremented,
    as no visible value changes.

    Usually the run was created before the workflow's nodes, and the current graph replaces the stored one, unless nodes
    of the run have other names by now.
    """
    if node in node_ids(run):
        return
    today = Graph.objects.get(pk=current([run.workflow_id])[run.workflow_id])
    run.graph = with_late_nodes([run], {run.pk: [node]}, {run.workflow_id: today})[run.pk]
    QuerySet(type(run)).filter(pk=run.pk).update(graph=run.graph)


def current(workflows: Collection[UUID]) -> dict[UUID, UUID]:
    """Return the ids of the current graphs of these workflows, by workflow. New ones are stored in the order in which
    facts/workflow_definitions.WORKFLOWS stores them, so that transactions do not wait for each other in a circle."""
    of_today = Func(F("pk"), function="graph_of", output_field=UUIDField())
    return dict(Workflow.objects.filter(pk__in=workflows).order_by("-pk").values_list("pk", of_today))


def with_late_nodes(
    runs: Collection["WorkflowExecution"], late: Mapping[UUID, Collection[UUID]], today: Mapping[UUID, Graph]
) -> dict[UUID, Graph]:
    """Return for each run a stored graph with its late nodes: that of its workflow `today`, or one of its own. The
    number of statements does not depend on that of the runs."""
    found = {run.pk: today[run.workflow_id] for run in runs if _has(today[run.workflow_id], run, late[run.pk])}
    others = [run for run in runs if run.pk not in found]
    if others:
        own = _of_runs(others, _executed_nodes(others))
        Graph.objects.bulk_create(own.values())
        found |= own
    return found


def _has(today: Graph, run: "WorkflowExecution", late: Collection[UUID]) -> bool:
    """Return whether the graph has the late nodes, and those of the run under the names that they had."""
    here = {each["id"]: each["name"] for each in run.graph.nodes} if run.graph else {}
    names = {each["id"]: each["name"] for each in today.nodes}
    return here.items() <= names.items() and all(str(node) in names for node in late)


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


def _executed_nodes(runs: Sequence["WorkflowExecution"]) -> dict[UUID, dict[UUID, str]]:
    """Return the names of the executed nodes of each run, by node."""
    found: dict[UUID, dict[UUID, str]] = defaultdict(dict)
    rows: QuerySet[WorkflowExecution] = QuerySet(type(runs[0])).filter(pk__in=[run.pk for run in runs]).order_by()
    for run, node, name in rows.values_list("pk", "node_executions__node_id", "node_executions__node_name"):
        found[run][node] = name
    return found


def _of_runs(runs: Sequence["WorkflowExecution"], executed: Mapping[UUID, Mapping[UUID, str]]) -> dict[UUID, Graph]:
    """Return what of_run() returns, for each run."""
    late = {run.pk: executed[run.pk].keys() - node_ids(run) for run in runs}
    every = set().union(*late.values())
    today = {node["id"]: node for node in Node.objects.filter(pk__in=every).values(*Graph.NODE)}
    edges = _edges_at(every)
    found: dict[UUID, Graph] = {}
    for run in runs:
        remembered: Graph = run.graph or Graph()
        nodes = ({**today[id], "name": executed[run.pk][id]} for id in sorted(late[run.pk]) if id in today)
        found[run.pk] = Graph(
            workflow_id=run.workflow_id,
            nodes=[*remembered.nodes, *map(Graph.to_json, nodes)],
            edges=[*remembered.edges, *map(Graph.to_json, _edges(edges, late[run.pk], node_ids(run)))],
        )
    return found


def _edges_at(nodes: set[UUID]) -> dict[UUID, list[Values]]:
    """Return the current edges at these nodes, by node."""
    touching = Q(source_node__in=nodes) | Q(target_node__in=nodes)
    found: dict[UUID, list[Values]] = defaultdict(list)
    for edge in Edge.objects.filter(touching).values("id", *Graph.EDGE) if nodes else ():
        for node in nodes & {edge["source_node"], edge["target_node"]}:
            found[node].append(edge)
    return found


def _edges(at: Mapping[UUID, list[Values]], late: set[UUID], here: set[UUID]) -> Iterator[dict[str, object]]:
    """Yield the edges at late nodes whose ends are both in the run, each once."""
    known = late | here
    edges = {edge["id"]: edge for node in late for edge in at.get(node, ())}
    for edge in sorted(edges.values(), key=lambda edge: (edge["priority"], edge["id"])):
        if {edge["source_node"], edge["target_node"]} <= known:
            yield {name: edge[name] for name in Graph.EDGE}
