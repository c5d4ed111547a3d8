"""Merge nodes and edges into the graph of a workflow. Existing ones are neither changed nor removed: if several
programs each know a part of the graph, none removes the parts of the others."""

from collections.abc import Collection, Iterator
from typing import Any
from uuid import UUID

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from . import graph_algorithms
from .exceptions import CyclicGraph
from .models import Edge, Node, Workflow
from .submitted_graph import SubmittedGraph, too_many

MOST_CHOSEN = 1_000  # up to so many new edges, an edge that closes a cycle is left out; more are refused
NONE_LEFT_OUT = _(
    "Of more than %(most)s new edges none is left out: send fewer at once, or none that would close a cycle."
)


class AddedGraph(SubmittedGraph):
    """The graph of the workflow with the submitted nodes and edges that it lacks. An edge that would close a cycle with
    earlier ones is left out: a task that occurs twice in a chain is one node."""

    def __init__(
        self, workflow: Workflow | None, nodes: list[dict[str, object]] | None, edges: list[dict[str, Any]] | None
    ) -> None:
        self.places: dict[UUID, int] = {}  # indices of new rows in the submitted lists
        super().__init__(workflow, nodes, edges)

    def too_many(self) -> dict[str, list[str]]:
        """Return the errors if the graph would have too many nodes or edges."""
        grown = {"nodes": self.nodes, "edges": self.edges} if self.is_new else {}
        return {kind: [sentence] for kind, rows in grown.items() if (sentence := too_many(kind, rows))}

    def _plan_nodes(self, nodes: list[dict[str, object]]) -> list[Node]:
        planned = super()._plan_nodes(nodes)
        ids = {node.name: node.pk for node in self.there.values()}
        for index, node in enumerate(planned):
            if ids.get(node.name, node.pk) != node.pk:
                self._fault("nodes", index, "name", gettext("Another node has this name."))
        new = [(index, node) for index, node in enumerate(planned) if node.pk not in self.there]
        return [*self.there.values(), *self._place(new)]

    def _fill[M: Node | Edge](self, row: M, fields: dict[str, object]) -> M:
        """Set the fields of new nodes, and of retired ones, which return to the graph as submitted."""
        return row if row.pk in self.there else super()._fill(row, fields)

    def _resolve_edges(self, edges: list[dict[str, Any]]) -> list[Edge]:
        known = {edge.identity for edge in self.old_edges}
        new: dict[tuple[object, ...], tuple[int, Edge]] = {}
        for index, edge in enumerate(self._with_ends(edges)):
            if edge.identity not in known:
                new.setdefault(edge.identity, (index, edge))
        added = self._place(new.values())
        return [*self.old_edges, *(added if self.faults else _without_cycles(self.old_edges, added))]

    def _place[M: Node | Edge](self, rows: Collection[tuple[int, M]]) -> list[M]:
        self.places |= {row.pk: index for index, row in rows}
        return [row for _index, row in rows]

    def _rows_to_measure(self) -> Iterator[tuple[str, int | None, Node | Edge]]:
        """Yield the rows, existing ones first; none if nothing is added."""
        if self.is_new:
            rows: list[tuple[str, Node | Edge]] = [("nodes", node) for node in self.nodes]
            rows += [("edges", edge) for edge in self.edges]
            yield from ((kind, None, row) for kind, row in rows if row.pk not in self.places)
            yield from ((kind, self.places[row.pk], row) for kind, row in rows if row.pk in self.places)

    def _cycle(self) -> str:
        """Return the error of a cycle. There can be one only if the new edges are too many to leave some out."""
        cycle = super()._cycle()
        return f"{cycle} {NONE_LEFT_OUT % {'most': f'{MOST_CHOSEN:,}'}}" if cycle else ""


def _without_cycles(old: list[Edge], new: list[Edge]) -> list[Edge]:
    """Return the new edges without those that would close a cycle; all of them if they are more than MOST_CHOSEN."""
    existing, wanted = [*map(_ends, old)], [*map(_ends, new)]
    if len(new) > MOST_CHOSEN or _is_acyclic([*existing, *wanted]):
        return new
    added = graph_algorithms.additions(existing, wanted)
    return [edge for edge in new if _ends(edge) in added]


def _is_acyclic(pairs: list[tuple[UUID, UUID]]) -> bool:
    try:
        graph_algorithms.check_acyclic((), pairs)
    except CyclicGraph:
        return False
    return True


def _ends(edge: Edge) -> tuple[UUID, UUID]:
    return edge.source_node_id, edge.target_node_id
