"""The order of names as people count, in keys and in drawings."""

from typing import Any

import pytest

from workflows import drawing
from workflows.models import Graph
from workflows.natural_order import natural_key


def drawn(names: list[str], edges: list[tuple[str, str]] | None = None) -> Any:
    ids = {name: f"0190f5e5-0000-7000-8000-{place:012}" for place, name in enumerate(names)}
    nodes = [{"id": id, "name": name} for name, id in ids.items()]
    pairs = [{"source_node": ids[a], "target_node": ids[b]} for a, b in edges or []]
    return drawing.draw_graph(Graph(nodes=nodes, edges=pairs))


def test_numbers_in_names_are_compared_as_numbers() -> None:
    names = ["n10", "N3", "n2", "n02b", "", "1", "n2 of 10", "n2 of 9", "n" + "1" * 5_000]
    order = ["", "1", "n2", "n2 of 9", "n2 of 10", "n02b", "N3", "n10", "n" + "1" * 5_000]
    assert sorted(names, key=natural_key) == order


@pytest.mark.parametrize("order", [1, -1])
def test_boxes_come_roots_first_and_in_natural_order_however_the_nodes_were_made(order: int) -> None:
    loads = [f"load_{number}" for number in range(1, 13)]
    edges = [("zero", each) for each in loads] + [(each, "all") for each in loads]
    found = drawn([*loads, "all", "zero"][::order], edges[::order])
    assert [box.name for box in found.boxes] == ["zero", *loads, "all"]
    assert sorted(found.boxes, key=lambda box: (box.x, box.y)) == found.boxes


def test_nodes_without_an_edge_are_in_natural_order_too() -> None:
    found = drawn([f"n{number}" for number in (10, 9, 2, 1)])
    assert [box.name for box in sorted(found.boxes, key=lambda box: (box.y, box.x))] == ["n1", "n2", "n9", "n10"]
