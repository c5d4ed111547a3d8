"""Find fan-outs: nodes of a graph with the same predecessors, successors and type, whose names differ only in numbers,
or in a part in brackets at the end. A drawing folds each into one box.

The cost is linear in nodes and edges."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .models import Graph
from .natural_order import NUMBERS, natural_key

LEAST = 5  # fewer nodes are not folded
TITLE_NAMES = 20
BRACKETS = {")": "(", "]": "["}
ANY = "…"


@dataclass(frozen=True)
class FanOut:
    """The ids and names of the nodes of a fan-out, in the order of their names. `name` is the common part of the
    names."""

    name: str
    nodes: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def first(self) -> str:
        """Return the node whose place the common box takes."""
        return self.nodes[0]

    @property
    def key(self) -> str:
        """Return a short key for URLs: the random end of the first id."""
        return self.first[-8:]

    @property
    def title(self) -> str:
        """Return the first names, for the tooltip."""
        return ", ".join([*self.names[:TITLE_NAMES], *["…"] * (len(self.names) > TITLE_NAMES)])


def find_fan_outs(graph: Graph) -> list[FanOut]:
    """Return the fan-outs of at least LEAST nodes, in the order of their names. Nodes without an edge are in no
    fan-out."""
    before, after = defaultdict(set), defaultdict(set)
    for edge in graph.edges:
        before[edge["target_node"]].add(edge["source_node"])
        after[edge["source_node"]].add(edge["target_node"])
    groups = defaultdict(list)
    for node in sorted(graph.nodes, key=lambda node: natural_key(node["name"])):
        ends = frozenset(before[node["id"]]), frozenset(after[node["id"]])
        if any(ends):
            groups[(*ends, node["node_type"], common_name(node["name"]))].append((node["id"], node["name"]))
    return [FanOut(key[-1], *zip(*nodes, strict=True)) for key, nodes in groups.items() if len(nodes) >= LEAST]


def common_name(name: str) -> str:
    """Return the name with a mark in place of each number and of a part in brackets at its end: "load_…",
    "process(…)"."""
    opening = BRACKETS.get(name[-1:], "")
    if opening and (cut := name.find(opening)) > 0:
        name = name[: cut + 1] + ANY + name[-1]
    return NUMBERS.sub(ANY, name)


def fold(graph: Graph, fan_outs: Iterable[FanOut]) -> Graph:
    """Return a graph, not saved, with one node for each of these fan-outs."""
    fan_outs = list(fan_outs)
    names = {each.first: each.name for each in fan_outs}
    hidden = {node for each in fan_outs for node in each.nodes[1:]}
    return Graph(
        workflow_id=graph.workflow_id,
        nodes=[_with_name(node, names) for node in graph.nodes if node["id"] not in hidden],
        edges=[edge for edge in graph.edges if hidden.isdisjoint((edge["source_node"], edge["target_node"]))],
    )


def _with_name(node: dict[str, object], names: Mapping[str, str]) -> dict[str, object]:
    id = str(node["id"])
    return {**node, "name": names[id]} if id in names else node
