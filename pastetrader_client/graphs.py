"""Convert the three forms of `graph=`, and stages, to the nodes and edges of a workflow."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

TYPE = "tool"

type Graph = Sequence[str] | Mapping[str, Any]
type Stages = tuple[tuple[str, ...], ...]  # names of nodes that run in parallel, after the previous stage


def definition(name: str, graph: Graph) -> dict[str, Any]:
    """Return the body of `workflow.ensure`. `graph` is a list of names in the order of execution; or a mapping from
    each node to its predecessors, as graphlib takes it; or {"nodes": [...], "edges": [...]} as in the API."""
    if isinstance(graph, Mapping) and graph.keys() <= {"nodes", "edges"}:
        return {"name": name, "nodes": [_node(each) for each in graph.get("nodes", ())], "edges": [
            _edge(each) for each in graph.get("edges", ())
        ]}  # fmt: skip
    if isinstance(graph, Mapping):
        return _of_pairs(name, graph, ((before, node) for node, befores in graph.items() for before in _names(befores)))
    return _of_pairs(name, graph, pairwise(graph))


def addition(name: str, stages: Stages) -> dict[str, Any]:
    """Return the body of `workflow.ensure` that adds missing nodes and edges of these stages."""
    pairs = dict.fromkeys((a, b) for before, after in pairwise(stages) for a in before for b in after)
    return {**_of_pairs(name, (each for stage in stages for each in stage), pairs), "only_add": True}


def _of_pairs(name: str, nodes: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    pairs = list(pairs)
    names = dict.fromkeys([*nodes, *(each for pair in pairs for each in pair)])
    return {"name": name, "nodes": [_node(each) for each in names], "edges": [_edge(pair) for pair in pairs]}


def _names(value: str | Iterable[str]) -> Iterable[str]:
    return [value] if isinstance(value, str) else value


def _node(node: str | Mapping[str, Any]) -> dict[str, Any]:
    return {"name": node, "node_type": TYPE} if isinstance(node, str) else {"node_type": TYPE, **node}


def _edge(edge: Sequence[str] | Mapping[str, object]) -> dict[str, object]:
    if isinstance(edge, Mapping):
        return dict(edge)
    source, target = edge
    return {"source_node": source, "target_node": target}
