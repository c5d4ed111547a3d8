"""A graph with its fan-outs of equals each as one node, for the drawings of runs and workflows."""

from collections.abc import Collection
from dataclasses import dataclass

from workflows.drawing import MOST_NODES, Box, Drawing, Plan, plan_graph
from workflows.fan_outs import FanOut, find_fan_outs, fold
from workflows.models import Graph


@dataclass(frozen=True)
class FoldedGraph:
    """The graph to draw, and its plan. `folded` are those of the `fan_outs` that are one node."""

    graph: Graph
    plan: Plan
    fan_outs: list[FanOut]
    folded: list[FanOut]

    @property
    def by_node(self) -> dict[str, FanOut]:
        """Return the folded fan-outs by the nodes in whose places they stand."""
        return {each.first: each for each in self.folded}


@dataclass
class FoldedDrawing[B: Box](Drawing[B]):
    """A drawing with the fan-outs of its graph, and those of them that are drawn as one box."""

    fan_outs: list[FanOut]
    folded: list[FanOut]


def fold_graph(graph: Graph, opened: Collection[str] | None, shown: Collection[str] = ()) -> FoldedGraph | None:
    """Fold each fan-out of equals, without those whose keys are in `opened` and those of the nodes `shown`; None in
    `opened` opens all. Return None for a graph without nodes, or one that is too large to be drawn."""
    if len(graph.nodes) > MOST_NODES:
        return None
    fan_outs, kept = find_fan_outs(graph), set(shown)
    folded = [] if opened is None else [e for e in fan_outs if e.key not in opened and kept.isdisjoint(e.nodes)]
    whole = fold(graph, folded)
    plan = plan_graph(whole)
    return None if plan is None else FoldedGraph(whole, plan, fan_outs, folded)
