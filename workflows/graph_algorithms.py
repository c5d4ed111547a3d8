"""Graph algorithms: pure functions on node keys and (source, target) pairs."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable
from graphlib import CycleError, TopologicalSorter

from .exceptions import CyclicGraph

type Pair[K: Hashable] = tuple[K, K]  # source, target


def levels[K: Hashable](nodes: Iterable[K], edges: Iterable[Pair[K]]) -> dict[K, int]:
    """Return the topological level of each node: 0 without predecessors, else one more than the highest predecessor.

    Nodes that may run at the same time share a level. Raises CyclicGraph.
    """
    before = _predecessors(nodes, edges)
    level: dict[K, int] = {}
    for node in _topological_order(before):
        level[node] = max((level[source] + 1 for source in before[node]), default=0)
    return level


def check_acyclic[K: Hashable](nodes: Iterable[K], edges: Iterable[Pair[K]]) -> None:
    """Raise CyclicGraph, which names the cycle, if there is one."""
    _topological_order(_predecessors(nodes, edges))


def additions[K: Hashable](edges: Collection[Pair[K]], wanted: Collection[Pair[K]]) -> set[Pair[K]]:
    """Return the wanted pairs, in their order, that close no cycle with the edges and the pairs accepted before. The
    work grows with the product of nodes and wanted pairs. Raises CyclicGraph if the edges alone have a cycle."""
    nodes = dict.fromkeys(node for pair in (*edges, *wanted) for node in pair)
    own = {node: 1 << number for number, node in enumerate(nodes)}
    reach = _reach(own, edges)
    added: set[Pair[K]] = set()
    for source, target in wanted:
        if reach[target] & own[source]:
            continue
        added.add((source, target))
        if not reach[source] & own[target]:
            new = reach[target]
            reach = {node: there | new if there & own[source] else there for node, there in reach.items()}
    return added


def descendants[K: Hashable](starts: Iterable[K], edges: Iterable[Pair[K]]) -> set[K]:
    """Return all nodes reachable from `starts`; a start itself only if it is reachable."""
    after = defaultdict(set)
    for source, target in edges:
        after[source].add(target)
    found: set[K] = set()
    waiting = list(starts)
    while waiting:
        new = after[waiting.pop()] - found
        found |= new
        waiting.extend(new)
    return found


def _reach[K: Hashable](own: dict[K, int], edges: Iterable[Pair[K]]) -> dict[K, int]:
    """Return, for each node, the bits of the node and of all its descendants: a set for each node takes too much
    memory."""
    before = _predecessors(own, edges)
    reach = dict(own)
    for node in reversed(_topological_order(before)):
        for source in before[node]:
            reach[source] |= reach[node]
    return reach


def _predecessors[K: Hashable](nodes: Iterable[K], edges: Iterable[Pair[K]]) -> dict[K, list[K]]:
    before: dict[K, list[K]] = {node: [] for node in nodes}
    for source, target in edges:
        before.setdefault(source, [])
        before.setdefault(target, []).append(source)
    return before


def _topological_order[K: Hashable](before: dict[K, list[K]]) -> list[K]:
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError as error:
        raise CyclicGraph(error.args[1]) from None  # each node has an edge to the next
