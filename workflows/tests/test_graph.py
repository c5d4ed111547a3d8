"""The pure functions on graphs, held against plain definitions of the same, on graphs of any shape."""

import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows import graph_algorithms
from workflows.exceptions import CyclicGraph

type Edges = list[tuple[int, int]]
SIZE = 12
dags = st.lists(
    st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)).filter(lambda e: e[0] < e[1]), max_size=30
)


def longest_path_to(node: int, edges: Edges) -> int:
    return max((1 + longest_path_to(a, edges) for a, b in edges if b == node), default=0)


def reachable(a: int, b: int, edges: Edges) -> bool:
    found: set[int] = set()
    while more := {target for source, target in edges if source in found | {a}} - found:
        found |= more
    return b in found


@given(dags)
def test_a_level_is_the_longest_way_to_a_node(edges: Edges) -> None:
    assert graph_algorithms.levels(range(SIZE), edges) == {node: longest_path_to(node, edges) for node in range(SIZE)}


@given(dags)
def test_descendants_are_what_an_arrow_leads_to(edges: Edges) -> None:
    assert graph_algorithms.descendants([0], edges) == {node for node in range(SIZE) if reachable(0, node, edges)}


@given(dags, st.data())
def test_an_edge_back_closes_a_circle_that_is_named_along_its_arrows(edges: Edges, data: Any) -> None:
    pairs = [(a, b) for a in range(SIZE) for b in range(SIZE) if reachable(a, b, edges)]
    if not pairs:
        return
    a, b = data.draw(st.sampled_from(pairs))
    closed = [*edges, (b, a)]
    with pytest.raises(CyclicGraph) as caught:
        graph_algorithms.check_acyclic(range(SIZE), closed)
    cycle = caught.value.cycle
    assert cycle[0] == cycle[-1]
    assert set(pairwise(cycle)) <= set(closed)


@given(dags, st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)), max_size=30))
def test_pairs_are_added_that_close_no_circle_with_those_before(edges: Edges, wanted: Edges) -> None:
    added = graph_algorithms.additions(edges, wanted)
    there = list(edges)
    for source, target in wanted:
        closes = source == target or reachable(target, source, there)
        assert ((source, target) in added) is not closes
        if not closes:
            there.append((source, target))


def test_a_thousand_pairs_are_chosen_in_a_bounded_time() -> None:
    size = 5_000
    edges = [(a, b) for a, b in pairwise(range(size)) if b % 5] + [(a, a + 7) for a in range(0, size - 7, 5)]
    wanted = [(a % size, b % size) for a, b in zip(range(0, 40_000, 40), range(9_000, 49_000, 40), strict=True)]
    began = time.process_time()
    graph_algorithms.additions(edges, wanted)
    assert time.process_time() - began < 5


def test_parallel_nodes_share_a_level() -> None:
    edges = [("load", "a"), ("load", "b"), ("a", "rank"), ("b", "rank")]
    assert graph_algorithms.levels(["load", "a", "b", "rank"], edges) == {"load": 0, "a": 1, "b": 1, "rank": 2}


def test_a_large_graph_is_not_walked_twice() -> None:
    chain = [(i, i + 1) for i in range(20_000)]
    assert graph_algorithms.levels(range(20_001), chain)[20_000] == 20_000
    assert len(graph_algorithms.descendants([0], chain)) == 20_000
