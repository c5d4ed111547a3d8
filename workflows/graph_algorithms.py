"""Graph algorithms: pure functions on node keys and (source, target) pairs."""

from collections import defaultdict
from collections.abc import Hashable, Iterable
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
