"""Order the boxes and bends in the columns of a layout, with few crossings of edges. Pure functions."""

from bisect import bisect_left
from dataclasses import dataclass, field

type Order = list[list[int]]  # the items of each column, from the top

SWEEPS = 24  # sweeps over all columns
PATIENCE = 6  # sweeps without a gain
SWAPS = 8  # rounds of exchanging neighbours
BEND = 0.45  # the height of a bend; a box has 1
STEPS = 2_000_000  # steps of work to reduce crossings, about a second; a larger graph keeps more crossings


@dataclass
class Spot:
    """A node, or a bend of a node's long edges, with its neighbours in the next column."""

    column: int
    source: int  # index of the node in the list of nodes; for a bend, of the node where its edges begin
    is_bend: bool = False
    before: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    row: float = 0.0

    @property
    def height(self) -> float:
        return BEND if self.is_bend else 1.0


def crossings(spots: list[Spot], order: Order) -> int:
    """Count the crossings of lines between neighbouring columns."""
    at = _positions(order)
    return sum(_inversions(sorted((at[a], at[b]) for a in column for b in spots[a].after)) for column in order)


def reduce_crossings(spots: list[Spot], joined: list[int]) -> Order:
    """Return the best order found by barycenter sweeps in both directions and exchanges of neighbours."""
    order = best = _first_order(spots, joined)
    fewest, waited, steps = crossings(spots, order), 0, 0
    cost = sum(len(spot.after) for spot in spots) + len(spots)
    for sweep in range(SWEEPS):
        if not fewest or waited == PATIENCE or steps > STEPS:
            break
        order = _barycenter_sweep(spots, order, forward=sweep % 2 == 0)
        found, steps = crossings(spots, order), steps + 10 * cost
        best, fewest, waited = (order, found, 0) if found < fewest else (best, fewest, waited + 1)
    return _exchange_neighbours(spots, best) if fewest else best


def _first_order(spots: list[Spot], joined: list[int]) -> Order:
    """Return the order of a depth-first walk, so that connected items start next to each other."""
    order: Order = [[] for _ in range(max((spots[place].column + 1 for place in joined), default=0))]
    seen: set[int] = set()
    waiting = [place for place in reversed(joined) if not spots[place].before]
    while waiting:
        if (place := waiting.pop()) not in seen:
            seen.add(place)
            order[spots[place].column].append(place)
            waiting.extend(reversed(spots[place].after))
    return order


def _barycenter_sweep(spots: list[Spot], order: Order, *, forward: bool) -> Order:
    """Sort each column by the mean position of its neighbours in the column before, or after."""
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


def _exchange_neighbours(spots: list[Spot], order: Order) -> Order:
    at = _positions(order)
    for _ in range(SWAPS):
        if not sum(_exchange(spots, column, at) for column in order):
            break
    return order


def _exchange(spots: list[Spot], column: list[int], at: dict[int, int]) -> int:
    """Exchange neighbours in a column where this reduces crossings. Return the number of exchanges."""
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
    """Count the crossings of two items in this order, by the sorted positions of their neighbours."""
    return sum(bisect_left(seconds, place) for place in firsts)


def _inversions(lines: list[tuple[int, int]]) -> int:
    """Count the pairs of lines, sorted by their starts, whose ends are in reverse order, with a Fenwick tree."""
    size = max((end for _start, end in lines), default=0) + 2
    tree, found = [0] * size, 0
    for number, (_start, end) in enumerate(lines):
        place, before = end + 1, 0
        while place:
            before += tree[place]
            place &= place - 1
        found += number - before
        place = end + 1
        while place < size:
            tree[place] += 1
            place += place & -place
    return found


def _positions(order: Order) -> dict[int, int]:
    return {place: position for column in order for position, place in enumerate(column)}
