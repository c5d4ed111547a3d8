"""Where the nodes of a graph stand when it is drawn in layers, from left to right: a column for each level, few
crossings, straight long edges. Pure, and in units of a grid: a column, and the height of a box with its gap.

A long edge passes each column on its way by a bend, which keeps boxes off it. The long edges of one node share their
bends, as branches share a trunk: that is truer to what is drawn, and makes the work for them linear in the columns.
"""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, sqrt

from . import graph
from .exceptions import CyclicGraph

type Order = list[list[int]]  # of the items of each column, from the top

SWEEPS = 24  # over all columns, to have fewer crossings
PATIENCE = 6  # sweeps without a gain
SWAPS = 8  # rounds of exchanging neighbours
STRAIGHTENINGS = 6
BEND = 0.45  # the height of a bend, where a box has 1
STRAIGHT = 4  # a bend holds on to its place so many times stronger than a box
STEPS = 2_000_000  # of work on crossings, about a second: a graph beyond that is drawn with more of them


@dataclass
class Spot:
    """A node, or a bend of the long edges of one, and what it is joined to in the next column."""

    column: int
    source: int  # the place of the node in the list of nodes; of a bend, of the node that it leads from
    is_bend: bool = False
    before: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    row: float = 0.0

    @property
    def height(self) -> float:
        return BEND if self.is_bend else 1.0


@dataclass
class Layout[K: Hashable]:
    """`spots` has the nodes in their order and then the bends; a node's row is that of its middle, from 0.5."""

    nodes: list[K]
    spots: list[Spot]

    @property
    def columns(self) -> int:
        return max((spot.column + 1 for spot in self.spots), default=0)

    @property
    def rows(self) -> float:
        return max((spot.row + spot.height / 2 for spot in self.spots), default=0.0)

    def place(self, node: K) -> tuple[int, float]:
        """Column and row."""
        spot = self.spots[self.nodes.index(node)]
        return spot.column, spot.row


def layered[K: Hashable](nodes: Iterable[K], edges: Iterable[graph.Pair[K]]) -> Layout[K]:
    """Edges to unknown nodes are left out. An edge that closes a circle is drawn as if it led the other way."""
    known = list(dict.fromkeys(nodes))
    places = {node: place for place, node in enumerate(known)}
    pairs = {(places[a], places[b]) for a, b in edges if a in places and b in places and a != b}
    joined = sorted({place for pair in pairs for place in pair})
    levels, pairs = _levels(joined, sorted(pairs))
    spots = [Spot(levels.get(place, 0), place) for place in range(len(known))]
    _join(spots, pairs)
    order = _untangled(spots, joined)
    _straighten(spots, order)
    _shelve(spots, sorted(set(places.values()) - set(joined)))
    return Layout(known, spots)


def crossings(spots: list[Spot], order: Order) -> int:
    """How often lines between neighbouring columns cross."""
    at = _positions(order)
    return sum(_inversions(sorted((at[a], at[b]) for a in column for b in spots[a].after)) for column in order)


def _levels(nodes: list[int], pairs: list[graph.Pair[int]]) -> tuple[dict[int, int], set[graph.Pair[int]]]:
    """Of each node, and the pairs to be drawn: what closes a circle is cut, and turned round."""
    kept, cut = set(pairs), []
    while True:
        try:
            levels = graph.levels(nodes, sorted(kept))
        except CyclicGraph as error:
            cut.append(next(pair for pair in pairwise(error.cycle) if pair in kept))
            kept.remove(cut[-1])
        else:
            return levels, kept | {(b, a) for a, b in cut if levels[b] < levels[a]}


def _join(spots: list[Spot], pairs: set[tuple[int, int]]) -> None:
    """Each pair, through the bends on its way."""
    targets = defaultdict(list)
    for a, b in sorted(pairs):
        targets[a].append(b)
    for a, found in targets.items():
        trunk = _trunk(spots, a, max(spots[b].column for b in found))
        for b in found:
            _link(spots, trunk[spots[b].column - spots[a].column - 1], b)


def _trunk(spots: list[Spot], source: int, end: int) -> list[int]:
    """The source and its bends in each column before `end`."""
    trunk = [source]
    for column in range(spots[source].column + 1, end):
        spots.append(Spot(column, source, is_bend=True))
        _link(spots, trunk[-1], len(spots) - 1)
        trunk.append(len(spots) - 1)
    return trunk


def _link(spots: list[Spot], a: int, b: int) -> None:
    spots[a].after.append(b)
    spots[b].before.append(a)


def _untangled(spots: list[Spot], joined: list[int]) -> Order:
    """The best order that sweeping to and fro found, after exchanges of neighbours."""
    order = best = _first_order(spots, joined)
    fewest, waited, steps = crossings(spots, order), 0, 0
    cost = sum(len(spot.after) for spot in spots) + len(spots)
    for sweep in range(SWEEPS):
        if not fewest or waited == PATIENCE or steps > STEPS:
            break
        order = _swept(spots, order, forward=sweep % 2 == 0)
        found, steps = crossings(spots, order), steps + 10 * cost
        best, fewest, waited = (order, found, 0) if found < fewest else (best, fewest, waited + 1)
    return _exchanged(spots, best) if fewest else best


def _first_order(spots: list[Spot], joined: list[int]) -> Order:
    """As a walk along the arrows meets them, so that what belongs together starts together."""
    order: Order = [[] for _ in range(max((spots[place].column + 1 for place in joined), default=0))]
    seen: set[int] = set()
    waiting = [place for place in reversed(joined) if not spots[place].before]
    while waiting:
        if (place := waiting.pop()) not in seen:
            seen.add(place)
            order[spots[place].column].append(place)
            waiting.extend(reversed(spots[place].after))
    return order


def _swept(spots: list[Spot], order: Order, *, forward: bool) -> Order:
    """Each column sorted by the mean place of what its items are joined to in the column before, or after."""
    new = [list(column) for column in order]
    at = _positions(new)
    for column in new[1:] if forward else new[-2::-1]:
        means = {}
        for place in column:
            near = spots[place].before if forward else spots[place].after
            means[place] = sum(at[other] for other in near) / len(near) if near else float(at[place])
        column.sort(key=means.__getitem__)
        at.update({place: position for position, place in enumerate(column)})
    return new


def _exchanged(spots: list[Spot], order: Order) -> Order:
    at = _positions(order)
    for _ in range(SWAPS):
        if not sum(_exchange(spots, column, at) for column in order):
            break
    return order


def _exchange(spots: list[Spot], column: list[int], at: dict[int, int]) -> int:
    """How many neighbours of the column changed places, each for fewer crossings."""
    done = 0
    near = {p: (sorted(at[o] for o in spots[p].before), sorted(at[o] for o in spots[p].after)) for p in column}
    for upper in range(len(column) - 1):
        a, b = column[upper], column[upper + 1]
        now = sum(_above(near[a][side], near[b][side]) for side in (0, 1))
        if now and now > sum(_above(near[b][side], near[a][side]) for side in (0, 1)):
            column[upper], column[upper + 1] = b, a
            at[a], at[b] = upper + 1, upper
            done += 1
    return done


def _above(firsts: list[int], seconds: list[int]) -> int:
    """The crossings of two items that stand in this order, by the sorted places that they are joined to."""
    return sum(bisect_left(seconds, place) for place in firsts)


def _inversions(lines: list[tuple[int, int]]) -> int:
    ends: list[int] = []
    found = 0
    for _start, end in lines:
        found += len(ends) - bisect_right(ends, end)
        insort(ends, end)
    return found


def _positions(order: Order) -> dict[int, int]:
    return {place: position for column in order for position, place in enumerate(column)}


def _straighten(spots: list[Spot], order: Order) -> None:
    """Rows: each item as near as can be to what it is joined to, none over another."""
    for column in order:
        _settle(spots, column, [0.0] * len(column))
    for _ in range(STRAIGHTENINGS):
        for forward in (True, False):
            for column in order if forward else reversed(order):
                _settle(spots, column, [_wanted(spots, place, forward=forward) for place in column])
    top = min((spots[place].row - spots[place].height / 2 for column in order for place in column), default=0.0)
    for column in order:
        for place in column:
            spots[place].row -= top


def _wanted(spots: list[Spot], place: int, *, forward: bool) -> float:
    spot = spots[place]
    near = (spot.before if forward else spot.after) or spot.after or spot.before
    return sum(spots[other].row for other in near) / len(near)


def _settle(spots: list[Spot], column: list[int], wanted: list[float]) -> None:
    """The rows nearest to the wanted ones by least squares that keep the order and the heights: neighbours that would
    meet move as one block, to the mean of what they want."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many
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
    """Of each item from the first, where all stand as close as they can."""
    offsets, height = [], 0.0
    for place in column:
        offsets.append(height + spots[place].height / 2)
        height += spots[place].height
    return offsets


def _shelve(spots: list[Spot], loose: list[int]) -> None:
    """Nodes without any edge have no order: they fill rows of their own below the rest."""
    top = max((spot.row + spot.height / 2 for spot in spots if spot.before or spot.after), default=0.0)
    widest = max((spot.column + 1 for spot in spots), default=1)
    width = max(widest, min(6, ceil(sqrt(len(loose)))))
    for index, place in enumerate(loose):
        spots[place].column = index % width
        spots[place].row = top + index // width + 0.5
