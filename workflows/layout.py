"""Layered layout of a graph, from left to right: a column per level, few crossings, straight long edges. Pure
functions, in units of a grid: a column, and the height of a box with its gap.

A long edge has a bend in each column that it passes, so that no box covers it. The long edges of one node share their
bends. This matches the drawing and makes their cost linear in the columns.

The cost is linear in nodes and edges. Only the number of bends could grow quadratically (a chain whose every node leads
to its end): there are at most BENDS per node, for the shortest long edges. The others are drawn straight across.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from math import ceil, sqrt

from . import graph_algorithms
from .crossing_reduction import Order, Spot, reduce_crossings

STRAIGHTENINGS = 6
STRAIGHT = 4  # weight of a bend's position, relative to a box
BENDS, FEW = 4, 2_000  # bends per node, and the number that any graph may have


@dataclass
class Layout[K: Hashable]:
    """`spots` has the nodes in their order and then the bends. The row of a node is that of its middle, from 0.5.
    `direct` are the long edges without bends, as pairs of indices."""

    nodes: list[K]
    spots: list[Spot]
    direct: list[graph_algorithms.Pair[int]] = field(default_factory=list)

    @property
    def columns(self) -> int:
        return max((spot.column + 1 for spot in self.spots), default=0)

    @property
    def rows(self) -> float:
        return max((spot.row + spot.height / 2 for spot in self.spots), default=0.0)

    def place(self, node: K) -> tuple[int, float]:
        """Return column and row."""
        spot = self.spots[self.nodes.index(node)]
        return spot.column, spot.row


def layered_layout[K: Hashable](nodes: Iterable[K], edges: Iterable[graph_algorithms.Pair[K]]) -> Layout[K]:
    """Return the layout of a graph. Edges to unknown nodes are left out; an edge that closes a cycle is reversed."""
    known = list(dict.fromkeys(nodes))
    places = {node: place for place, node in enumerate(known)}
    pairs = {(places[a], places[b]) for a, b in edges if a in places and b in places and a != b}
    joined = sorted({place for pair in pairs for place in pair})
    levels, pairs = _levels(joined, sorted(pairs))
    spots = [Spot(levels.get(place, 0), place) for place in range(len(known))]
    direct = _join(spots, pairs)
    order = reduce_crossings(spots, joined)
    _straighten(spots, order)
    _pack_rows(spots, joined, sorted(set(places.values()) - set(joined)))
    return Layout(known, spots, direct)


def _levels(
    nodes: list[int], pairs: list[graph_algorithms.Pair[int]]
) -> tuple[dict[int, int], set[graph_algorithms.Pair[int]]]:
    """Return the level of each node, and the pairs to draw: those that close a cycle are reversed."""
    cut = set(_closing(nodes, pairs))
    kept = set(pairs) - cut
    levels = graph_algorithms.levels(nodes, sorted(kept))
    return levels, kept | {(b, a) for a, b in cut if levels[b] < levels[a]}


def _closing(nodes: list[int], pairs: list[graph_algorithms.Pair[int]]) -> Iterator[graph_algorithms.Pair[int]]:
    """Yield the back edges of a depth-first search: without them there is no cycle."""
    after = defaultdict(list)
    for a, b in pairs:
        after[a].append(b)
    seen: set[int] = set()
    for start in nodes:
        yield from _leading_back(start, after, seen)


def _leading_back(start: int, after: dict[int, list[int]], seen: set[int]) -> Iterator[graph_algorithms.Pair[int]]:
    if start in seen:
        return
    way, under_way = [(start, iter(after[start]))], {start}
    seen.add(start)
    while way:
        node, others = way[-1]
        other = next(others, None)
        if other is None:
            under_way.discard(node)
            way.pop()
        elif other in under_way:
            yield node, other
        elif other not in seen:
            seen.add(other)
            under_way.add(other)
            way.append((other, iter(after[other])))


def _join(spots: list[Spot], pairs: set[tuple[int, int]]) -> list[graph_algorithms.Pair[int]]:
    """Connect each pair through its bends. Return the pairs for which no bends are left."""
    ahead = sorted(pairs, key=lambda pair: (spots[pair[1]].column - spots[pair[0]].column, pair))
    trunks: dict[int, list[int]] = {}  # for each source: itself, and its bends in the next columns
    left, direct = max(FEW, BENDS * len(spots)), []
    for a, b in ahead:
        trunk = trunks.setdefault(a, [a])
        wanted = spots[b].column - spots[a].column
        if (more := wanted - len(trunk)) > left:
            direct.append((a, b))
            continue
        left -= max(0, more)
        _grow(spots, trunk, wanted)
        _link(spots, trunk[wanted - 1], b)
    return direct


def _grow(spots: list[Spot], trunk: list[int], wanted: int) -> None:
    """Extend the trunk, which begins with its source, with bends to the wanted length."""
    while len(trunk) < wanted:
        spots.append(Spot(spots[trunk[0]].column + len(trunk), trunk[0], is_bend=True))
        _link(spots, trunk[-1], len(spots) - 1)
        trunk.append(len(spots) - 1)


def _link(spots: list[Spot], a: int, b: int) -> None:
    spots[a].after.append(b)
    spots[b].before.append(a)


def _straighten(spots: list[Spot], order: Order) -> None:
    """Assign rows: each item as near as possible to its neighbours, without overlap."""
    for column in order:
        _balance(spots, column, [0.0] * len(column))
    for _ in range(STRAIGHTENINGS):
        for forward in (True, False):
            for column in order if forward else reversed(order):
                _balance(spots, column, [_mean_row(spots, place, forward=forward) for place in column])
    top = min((spots[place].row - spots[place].height / 2 for column in order for place in column), default=0.0)
    for column in order:
        for place in column:
            spots[place].row -= top


def _mean_row(spots: list[Spot], place: int, *, forward: bool) -> float:
    spot = spots[place]
    near = (spot.before if forward else spot.after) or spot.after or spot.before
    if not near:  # it has only direct edges
        return spot.row
    return sum(spots[other].row for other in near) / len(near)


def _balance(spots: list[Spot], column: list[int], wanted: list[float]) -> None:
    """Assign the rows nearest to the wanted ones by least squares, keeping order and heights: items that would overlap
    move as one block, to the mean of their wanted rows."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, number of items
    offsets = _offsets(spots, column)
    for place, want, offset in zip(column, wanted, offsets, strict=True):
        mean, weight, count = want - offset, float(STRAIGHT if spots[place].is_bend else 1), 1
        while blocks and blocks[-1][0] > mean:
            other, more, others = blocks.pop()
            mean, weight, count = (mean * weight + other * more) / (weight + more), weight + more, count + others
        blocks.append((mean, weight, count))
    means = [mean for mean, _weight, count in blocks for _ in range(count)]
    for place, mean, offset in zip(column, means, offsets, strict=True):
        spots[place].row = mean + offset


def _offsets(spots: list[Spot], column: list[int]) -> list[float]:
    """Return the offset of each item from the first in the closest packing."""
    offsets, height = [], 0.0
    for place in column:
        offsets.append(height + spots[place].height / 2)
        height += spots[place].height
    return offsets


def _pack_rows(spots: list[Spot], joined: list[int], loose: list[int]) -> None:
    """Place nodes without edges in rows of their own below the rest."""
    placed = [*(spots[place] for place in joined), *(spot for spot in spots if spot.is_bend)]
    top = max((spot.row + spot.height / 2 for spot in placed), default=0.0)
    widest = max((spot.column + 1 for spot in spots), default=1)
    width = max(widest, min(6, ceil(sqrt(len(loose)))))
    for index, place in enumerate(loose):
        spots[place].column = index % width
        spots[place].row = top + index // width + 0.5
