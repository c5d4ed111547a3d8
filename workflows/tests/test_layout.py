"""The drawing of a graph in layers: what may never be, on graphs of any shape, and what it is for."""

from itertools import combinations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workflows import crossing_reduction, graph_algorithms, layout

SIZE = 14
dags = st.lists(
    st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)).filter(lambda edge: edge[0] < edge[1]), max_size=40
)
any_edges = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE)), max_size=40)


def overlapping(drawn: layout.Layout[Any]) -> list[Any]:
    return [
        (a, b)
        for a, b in combinations(drawn.spots, 2)
        if a.column == b.column and abs(a.row - b.row) < (a.height + b.height) / 2 - 1e-6
    ]


def count_crossings(lines: list[tuple[int, int]]) -> int:
    """Count the pairs of lines that cross, pair by pair."""
    return sum((a[0] - b[0]) * (a[1] - b[1]) < 0 for a, b in combinations(lines, 2))


@given(any_edges)
def test_no_two_boxes_or_bends_overlap(edges: Any) -> None:
    assert overlapping(layout.layered_layout(range(SIZE), edges)) == []


@given(dags)
def test_every_edge_leads_to_the_right(edges: Any) -> None:
    drawn = layout.layered_layout(range(SIZE), edges)
    assert all(drawn.place(a)[0] < drawn.place(b)[0] for a, b in edges)


@given(dags)
def test_a_node_with_edges_stands_in_the_column_of_its_level(edges: Any) -> None:
    drawn, levels = layout.layered_layout(range(SIZE), edges), graph_algorithms.levels(range(SIZE), edges)
    assert all(drawn.place(node)[0] == levels[node] for edge in edges for node in edge)


@given(dags)
def test_a_line_joins_neighbouring_columns_and_every_edge_is_drawn(edges: Any) -> None:
    spots = layout.layered_layout(range(SIZE), edges).spots
    assert all(spots[b].column == spot.column + 1 for spot in spots for b in spot.after)
    ends = {(spot.source, b) for spot in spots for b in spot.after if not spots[b].is_bend}
    assert ends == set(edges)


@given(any_edges)
def test_all_is_inside_of_the_drawing(edges: Any) -> None:
    drawn = layout.layered_layout(range(SIZE), edges)
    assert all(0 <= spot.column < drawn.columns for spot in drawn.spots)
    assert all(spot.height / 2 - 1e-6 <= spot.row <= drawn.rows - spot.height / 2 + 1e-6 for spot in drawn.spots)


@given(dags)
def test_the_same_graph_is_drawn_the_same_way(edges: Any) -> None:
    assert layout.layered_layout(range(SIZE), edges) == layout.layered_layout(range(SIZE), list(reversed(edges)))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30, unique=True))
def test_crossings_are_counted_as_one_counts_them_pair_by_pair(lines: list[tuple[int, int]]) -> None:
    spots = [crossing_reduction.Spot(0, i) for i in range(10)] + [crossing_reduction.Spot(1, i) for i in range(10, 20)]
    for a, b in lines:
        spots[a].after.append(10 + b)
    assert crossing_reduction.crossings(spots, [[*range(10)], [*range(10, 20)]]) == count_crossings(lines)


def test_what_can_be_drawn_without_a_crossing_is() -> None:
    tree = [(node, child) for node in range(20) for child in (3 * node + 1, 3 * node + 2, 3 * node + 3)]
    drawn = layout.layered_layout(reversed(range(62)), tree)
    at = [(spot.row, drawn.spots[b].row) for spot in drawn.spots if spot.column == 2 for b in spot.after]
    assert count_crossings(at) == 0


def test_a_long_edge_passes_beside_the_boxes_on_its_way() -> None:
    drawn = layout.layered_layout("abcd", [("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")])
    assert [(spot.column, spot.is_bend) for spot in drawn.spots[4:]] == [(1, True), (2, True)]
    assert abs(drawn.spots[4].row - drawn.spots[5].row) < 1e-6


def test_nodes_without_edges_fill_rows_below_the_rest() -> None:
    drawn = layout.layered_layout(["a", "b", *range(9)], [("a", "b")])
    assert (drawn.columns, drawn.rows) == (3, 4.0)
    assert min(drawn.place(node)[1] for node in range(9)) > drawn.place("a")[1]


def test_nothing_is_drawn_of_nothing() -> None:
    drawn = layout.layered_layout([], [])
    assert (drawn.columns, drawn.rows) == (0, 0.0)


def test_a_circle_is_drawn_all_the_same() -> None:
    drawn = layout.layered_layout("abc", [("a", "b"), ("b", "c"), ("c", "a")])
    assert sorted(drawn.place(node)[0] for node in "abc") == [0, 1, 2]
